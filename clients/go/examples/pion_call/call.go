package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/dyad-signaling/dyad/clients/go/dyad"
	"github.com/pion/webrtc/v4"
)

// call drives a peer connection by the events of a Dyad connection, and then the
// next one.
type call struct {
	ctx        context.Context
	connection *dyad.Conn
	polite     bool
	pictures   *counter
	peer       *webrtc.PeerConnection
	// early are candidates that arrived before the remote description.
	early        []webrtc.ICECandidateInit
	ignoredOffer bool
}

func newCall(
	ctx context.Context, connection *dyad.Conn, polite bool, pictures *counter,
) (*call, error) {
	c := &call{ctx: ctx, connection: connection, polite: polite, pictures: pictures}
	return c, c.begin()
}

// begin makes a peer connection that replaces the last one.
func (c *call) begin() error {
	c.close()
	var settings webrtc.SettingEngine
	// Both sides may be on one machine that has only the loopback interface.
	settings.SetIncludeLoopbackCandidate(true)
	peer, err := webrtc.NewAPI(webrtc.WithSettingEngine(settings)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return err
	}
	c.peer, c.early, c.ignoredOffer = peer, nil, false
	peer.OnICECandidate(c.found)
	peer.OnTrack(c.pictures.count)
	connected, connect := context.WithCancel(context.Background())
	peer.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		fmt.Println(state)
		if state == webrtc.PeerConnectionStateConnected {
			connect()
		}
	})
	return send(c.ctx, peer, connected)
}

func (c *call) close() {
	if c.peer != nil {
		// It is no longer used, whether this fails or not.
		_ = c.peer.Close()
	}
}

// run negotiates until the peer leaves.
func (c *call) run(ctx context.Context) error {
	for event, err := range c.connection.Events(ctx) {
		if err != nil {
			return err
		}
		switch event := event.(type) {
		case dyad.PeerJoined:
			fmt.Println("peer joined")
			err = c.offer()
		case dyad.Offer:
			err = c.answer(event.SDP)
		case dyad.Answer:
			err = c.describe(webrtc.SDPTypeAnswer, event.SDP)
		case dyad.Candidate:
			c.candidate(event)
		case dyad.PeerLeft:
			fmt.Printf("peer left (%s)\n", strings.ToLower(event.Reason.String()))
			if event.Reason != dyad.DepartureReplaced {
				return nil
			}
			// The peer has lost the state of the call and joined again: start over.
			err = c.begin()
		case *dyad.Refused:
			fmt.Println(event)
		case dyad.Reconnecting:
			fmt.Println("reconnecting")
		case dyad.Reconnected:
			fmt.Println("reconnected")
			c.polite = event.Room.Polite
			if !event.Resumed {
				// To the peer, this side has just joined: an offer will come.
				err = c.begin()
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *call) offer() error {
	offer, err := c.peer.CreateOffer(nil)
	if err != nil {
		return err
	}
	if err := c.peer.SetLocalDescription(offer); err != nil {
		return err
	}
	return c.connection.SendOffer(c.ctx, offer.SDP)
}

func (c *call) answer(sdp string) error {
	// If both sides offer at once, the polite side gives way. The polite side of
	// this program never makes an offer, so it has none to take back.
	c.ignoredOffer = c.peer.SignalingState() != webrtc.SignalingStateStable && !c.polite
	if c.ignoredOffer {
		return nil
	}
	if err := c.describe(webrtc.SDPTypeOffer, sdp); err != nil {
		return err
	}
	answer, err := c.peer.CreateAnswer(nil)
	if err != nil {
		return err
	}
	if err := c.peer.SetLocalDescription(answer); err != nil {
		return err
	}
	return c.connection.SendAnswer(c.ctx, answer.SDP)
}

func (c *call) describe(kind webrtc.SDPType, sdp string) error {
	description := webrtc.SessionDescription{Type: kind, SDP: sdp}
	if err := c.peer.SetRemoteDescription(description); err != nil {
		return err
	}
	c.ignoredOffer = false
	for _, candidate := range c.early {
		c.add(candidate)
	}
	c.early = nil
	return nil
}

func (c *call) candidate(event dyad.Candidate) {
	candidate := webrtc.ICECandidateInit{
		Candidate:        event.Candidate,
		SDPMid:           event.SDPMid,
		UsernameFragment: event.UsernameFragment,
	}
	if event.SDPMLineIndex != nil {
		index := uint16(*event.SDPMLineIndex)
		candidate.SDPMLineIndex = &index
	}
	switch {
	case c.ignoredOffer:
	case c.peer.RemoteDescription() == nil:
		c.early = append(c.early, candidate)
	default:
		c.add(candidate)
	}
}

func (c *call) add(candidate webrtc.ICECandidateInit) {
	if err := c.peer.AddICECandidate(candidate); err != nil {
		// Another candidate may work.
		fmt.Println("ignored a candidate that pion cannot use")
	}
}

// found sends a candidate of this side. It is nil after the last one.
func (c *call) found(candidate *webrtc.ICECandidate) {
	var sent dyad.Candidate
	if candidate != nil {
		init := candidate.ToJSON()
		sent.Candidate, sent.SDPMid, sent.UsernameFragment = init.Candidate, init.SDPMid, init.UsernameFragment
		if init.SDPMLineIndex != nil {
			index := uint32(*init.SDPMLineIndex)
			sent.SDPMLineIndex = &index
		}
	}
	if err := c.connection.SendCandidate(c.ctx, sent); err != nil {
		fmt.Println("a candidate was not sent:", err)
	}
}
