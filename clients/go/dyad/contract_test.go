package dyad_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/dyad-signaling/dyad/clients/go/dyad/dyadtest"
	dyadv1 "github.com/dyad-signaling/dyad/clients/go/dyad/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
)

// wire is a stream without a client around it.
type wire struct {
	t      *testing.T
	stream dyadv1.Signaling_SignalClient
	seq    uint64
	queue  []*dyadv1.Frame
}

func (w *wire) says(frame *dyadv1.Frame) {
	w.t.Helper()
	w.seq++
	frame.Seq = w.seq
	if err := w.stream.Send(&dyadv1.SignalRequest{Frames: []*dyadv1.Frame{frame}}); err != nil {
		w.t.Fatal(err)
	}
}

// hears returns the next numbered frame, without what differs from run to run.
func (w *wire) hears(room *string) string {
	w.t.Helper()
	for len(w.queue) == 0 {
		response, err := w.stream.Recv()
		if err != nil {
			trailer := w.stream.Trailer()
			return fmt.Sprint(status.Code(err), trailer["dyad-status"], trailer["retry-after-ms"])
		}
		for _, frame := range response.GetFrames() {
			if frame.GetSeq() != 0 {
				w.queue = append(w.queue, frame)
			}
		}
	}
	frame := w.queue[0]
	w.queue = w.queue[1:]
	if *room == "" && frame.GetJoinRoom() != nil {
		*room = frame.GetRoomId()
	}
	if frame.GetRoomId() == *room {
		frame.RoomId = "ROOM"
	}
	frame.Ack = 0
	if join := frame.GetJoinRoom(); join.GetResumeToken() != "" {
		join.ResumeToken = "TOKEN"
	}
	if refused := frame.GetError(); refused != nil {
		// The real server repeats the frame's room. The client ignores it.
		refused.Message, frame.RoomId = "WHY", ""
	}
	text, err := protojson.Marshal(frame)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

// TestTheServerForTestsAnswersLikeTheRealOne plays the same frames to both.
func TestTheServerForTestsAnswersLikeTheRealOne(t *testing.T) {
	token(t, "carol")
	here := serve(t)
	fake := dyadtest.NewServer(t)
	real := talks(t, here.address, func(sub string) string { return token(t, sub) })
	same := talks(t, fake.Target(), func(sub string) string { return sub }, grpc.WithContextDialer(fake.DialContext))
	for i, want := range real {
		// protojson puts spaces at random.
		if strings.ReplaceAll(same[i], " ", "") != strings.ReplaceAll(want, " ", "") {
			t.Errorf("answer %d is\n%s\nbut the real server says\n%s", i, same[i], want)
		}
	}
}

func talks(t *testing.T, target string, jwt func(string) string, options ...grpc.DialOption) []string {
	t.Helper()
	options = append(options, grpc.WithTransportCredentials(insecure.NewCredentials()))
	connection, err := grpc.NewClient(target, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	open := func(sub string) *wire {
		ctx := metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+jwt(sub))
		stream, err := dyadv1.NewSignalingClient(connection).Signal(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return &wire{t: t, stream: stream}
	}
	join := func(id string) *dyadv1.Frame {
		event := &dyadv1.Frame_JoinRoom{JoinRoom: &dyadv1.JoinRoom{Resumable: true}}
		return &dyadv1.Frame{RoomId: id, Event: event}
	}
	offer := func(id string) *dyadv1.Frame {
		event := &dyadv1.Frame_Offer{Offer: &dyadv1.SessionDescription{Sdp: "v=0"}}
		return &dyadv1.Frame{RoomId: id, Event: event}
	}
	leave := func(id string) *dyadv1.Frame {
		return &dyadv1.Frame{RoomId: id, Event: &dyadv1.Frame_LeaveRoom{LeaveRoom: &dyadv1.LeaveRoom{}}}
	}
	var room string
	var said []string
	hear := func(from *wire) { said = append(said, from.hears(&room)) }
	alice, bob, carol := open("alice"), open("bob"), open("carol")
	for _, step := range []func(){
		func() { alice.says(offer(nowhere)); hear(alice) },
		func() { alice.says(join("")); hear(alice) },
		func() { alice.says(offer(room)); hear(alice) },
		func() { alice.says(join(room)); hear(alice) },
		func() { bob.says(join(strings.ToUpper(room))); hear(bob); hear(alice) },
		func() { carol.says(join(room)); hear(carol) },
		func() { carol.says(join(nowhere)); hear(carol) },
		func() { carol.says(join("no UUID")); hear(carol) },
		func() { carol.says(join(strings.Repeat("x", 37))); hear(carol) },
		func() { bob.says(offer(room)); hear(alice) },
		func() { bob.says(offer(nowhere)); hear(bob) },
		func() {
			phone := open("bob")
			phone.says(join(room))
			hear(phone)
			hear(alice)
			hear(alice)
			hear(bob)
			phone.says(leave(room))
			hear(phone)
			hear(alice)
		},
		func() { alice.says(leave(room)); hear(alice) },
		func() { carol.says(join(room)); hear(carol) },
	} {
		step()
	}
	return said
}
