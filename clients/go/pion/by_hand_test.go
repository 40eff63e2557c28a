package pion_test

import (
	"context"
	"testing"

	"github.com/dyad-signaling/dyad/clients/go/dyad"
	"github.com/dyad-signaling/dyad/clients/go/dyad/dyadtest"
	"github.com/dyad-signaling/dyad/clients/go/pion"
	"github.com/pion/webrtc/v4"
)

// joinByHand joins a room without a Peer, and returns a peer connection with audio, which the test
// negotiates itself.
func joinByHand(
	t *testing.T, server *dyadtest.Server, userID, roomID string,
) (*dyad.Conn, *webrtc.PeerConnection) {
	t.Helper()
	connection := server.Dial(t, userID)
	if _, err := connection.Join(t.Context(), roomID); err != nil {
		t.Fatal(err)
	}
	pc, err := api(t, newPath(t)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.Close() })
	if _, err := pc.AddTransceiverFromKind(webrtc.RTPCodecTypeAudio); err != nil {
		t.Fatal(err)
	}
	return connection, pc
}

// A browser offers as soon as it has a camera, and may be the impolite side.
func TestThePoliteSideGivesWayToAnOfferThatCrossesItsFirst(t *testing.T) {
	server := dyadtest.NewServer(t)
	alice, room := enter(t, server, "alice", "")
	bob, _ := enter(t, server, "bob", room.ID)
	talk(t, alice, bob)
	alice.leave()
	// Her media have other names than Bob's.
	carol, pc := joinByHand(t, server, "carol", room.ID)
	agreed, number := true, uint16(0)
	channel, err := pc.CreateDataChannel("talk", &webrtc.DataChannelInit{Negotiated: &agreed, ID: &number})
	if err != nil {
		t.Fatal(err)
	}
	opened := make(chan struct{})
	channel.OnOpen(func() { close(opened) })
	for event, err := range carol.Events(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		switch event := event.(type) {
		case dyad.Offer:
			// She ignores it: she is impolite, and her own is under way. Bob may offer again once
			// that is answered; this is not about his next one.
			if pc.LocalDescription() != nil {
				continue
			}
			offer, err := pc.CreateOffer(nil)
			if err != nil {
				t.Fatal(err)
			}
			gathered := webrtc.GatheringCompletePromise(pc)
			if err := pc.SetLocalDescription(offer); err != nil {
				t.Fatal(err)
			}
			<-gathered
			if err := carol.SendOffer(t.Context(), pc.LocalDescription().SDP); err != nil {
				t.Fatal(err)
			}
		case dyad.Answer:
			// Bob's answer to Alice's last offer may still come: to her, who has her place.
			if pc.SignalingState() != webrtc.SignalingStateHaveLocalOffer {
				continue
			}
			answer := webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: event.SDP}
			if err := pc.SetRemoteDescription(answer); err != nil {
				t.Fatal(err)
			}
		case dyad.Candidate:
			if pc.RemoteDescription() != nil {
				_ = pc.AddICECandidate(webrtc.ICECandidateInit{Candidate: event.Candidate, SDPMid: event.SDPMid})
			}
			if event.Candidate == "" {
				within(t, "data channel", opened)
				for _, transceiver := range bob.PeerConnection().GetTransceivers() {
					if transceiver.Mid() == "0" && transceiver.Kind() != webrtc.RTPCodecTypeAudio {
						t.Errorf("Bob takes her audio for %s", transceiver.Kind())
					}
				}
				return
			}
		}
	}
}

func TestAfterAnAnswerThatPionCannotUseTheNextOfferIsAnswered(t *testing.T) {
	server := dyadtest.NewServer(t)
	alice := server.Dial(t, "alice")
	room, err := alice.Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	peer := pion.NewPeer(t.Context(), alice, room, pion.Config{
		API: api(t, newPath(t)),
		Setup: func(pc *webrtc.PeerConnection) error {
			_, err := pc.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo)
			return err
		},
	})
	defer func() { _ = peer.Close() }()
	failures := make(chan error, 100)
	go func() {
		for event, err := range alice.Events(t.Context()) {
			if err != nil {
				return
			}
			if err := peer.Handle(event); err != nil {
				failures <- err
			}
		}
	}()
	bob, pc := joinByHand(t, server, "bob", room.ID)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for event, err := range bob.Events(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		switch event := event.(type) {
		case dyad.Offer:
			if err := bob.SendAnswer(ctx, "nonsense"); err != nil {
				t.Fatal(err)
			}
			within(t, "failure", failures)
			offer, err := pc.CreateOffer(nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := pc.SetLocalDescription(offer); err != nil {
				t.Fatal(err)
			}
			if err := bob.SendOffer(ctx, offer.SDP); err != nil {
				t.Fatal(err)
			}
		case dyad.Answer:
			answer := webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: event.SDP}
			if err := pc.SetRemoteDescription(answer); err != nil {
				t.Fatal(err)
			}
			if len(failures) > 0 {
				t.Error(<-failures)
			}
			return
		}
	}
}
