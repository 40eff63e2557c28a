package dyad_test

import (
	"slices"
	"testing"

	"github.com/dyad-signaling/dyad/clients/go/dyad"
	"google.golang.org/grpc/metadata"
)

func TestEveryConnectionCarriesTheKeyOfItsRoom(t *testing.T) {
	here := serve(t)
	way := relayed(t, here.address)
	net := through(t, way.address)
	alice, _, roomID := pair(t, net.address, way.address)
	net.cut()
	hears[dyad.Reconnecting](alice)
	if !hears[dyad.Reconnected](alice).Resumed {
		t.Error("the session was not resumed")
	}
	key := roomID[len(roomID)-8:]
	if keys := way.keysSeen(); !slices.Equal(keys, []string{key, key, key}) {
		t.Errorf("room %s was entered with %q", roomID, keys)
	}
}

func TestEveryConnectionCarriesTheMetadataOfItsContext(t *testing.T) {
	here := serve(t)
	way := relayed(t, here.address)
	net := through(t, way.address)
	alice := dial(t, net.address, "alice")
	ctx := metadata.AppendToOutgoingContext(t.Context(), "traceparent", "of the app")
	if _, err := alice.Create(ctx); err != nil {
		t.Fatal(err)
	}
	net.cut()
	hears[dyad.Reconnecting](alice)
	hears[dyad.Reconnected](alice)
	if traces := way.tracesSeen(); !slices.Equal(traces, []string{"of the app", "of the app"}) {
		t.Errorf("the streams had %q", traces)
	}
}
