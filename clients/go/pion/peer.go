// Package pion negotiates the peer connections of pion over Dyad, from either side, by the
// W3C's "perfect negotiation" (https://www.w3.org/TR/webrtc/#perfect-negotiation-example).
// It restarts ICE when the path between the two is lost.
package pion

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dyad-signaling/dyad/clients/go/dyad"
	"github.com/pion/webrtc/v4"
)

// A shorter gap in the path closes by itself.
const gap = 3 * time.Second

// Config says how a [Peer] makes peer connections.
type Config struct {
	// API makes the peer connections. Nil is pion's default.
	API *webrtc.API
	// Configuration has the ICE servers.
	Configuration webrtc.Configuration
	// Setup adds tracks, data channels and handlers to a new peer connection, before it
	// negotiates. There is a new one for each peer that joins. The handlers for
	// candidates, negotiation and the state of ICE belong to the Peer.
	Setup func(*webrtc.PeerConnection) error
	// Failed is told of an error in a negotiation that began on this side. It may be nil.
	Failed func(error)
}

// Peer negotiates one peer connection at a time. Give it every event of the connection.
// Its methods may be used by several goroutines.
type Peer struct {
	ctx    context.Context
	cancel context.CancelFunc
	conn   *dyad.Conn
	config Config

	// round counts the offers of the peer.
	round atomic.Int64
	// outbox are candidates to send.
	outbox outbox

	mu     sync.Mutex
	polite bool
	closed bool
	pc     *webrtc.PeerConnection
	// stale says that the peer connection belongs to a session that is over, or that its
	// negotiation failed: the next offer is for another one.
	stale bool
	// mayOffer says whether this side may begin a negotiation. The side that is in the
	// room first begins the first one.
	mayOffer bool
	// offering says whether an offer of this side is under way. The polite side sets its
	// offer only when it is answered, because pion cannot roll back: it keeps it here.
	offering bool
	offered  *webrtc.SessionDescription
	// restarts says whether to restart ICE after the negotiation that is under way.
	restarts bool
	// ignoring says whether the last offer of the peer was ignored.
	ignoring bool
	// early are candidates that arrived before the remote description.
	early []webrtc.ICECandidateInit
	// mend restarts ICE when a gap lasts.
	mend *time.Timer
}

// NewPeer returns a Peer for a room that conn has entered. Close it before conn enters
// another room. ctx ends all that it sends.
func NewPeer(ctx context.Context, conn *dyad.Conn, room dyad.Room, config Config) *Peer {
	if config.API == nil {
		config.API = webrtc.NewAPI()
	}
	ctx, cancel := context.WithCancel(ctx)
	return &Peer{ctx: ctx, cancel: cancel, conn: conn, config: config, polite: room.Polite}
}

// PeerConnection returns the present peer connection, or nil if there is none.
func (p *Peer) PeerConnection() *webrtc.PeerConnection {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pc
}

// Handle acts on an event: it makes the peer connection when the peer joins or offers, and
// closes it when the peer has hung up. The error is Setup's, pion's (it cannot use a
// description), or that of a method of the connection. After it the peer's next offer may
// succeed. To start over from this side, leave the room and join it again with a new Peer.
func (p *Peer) Handle(event dyad.Event) error {
	err := p.handle(event)
	if errors.Is(err, webrtc.ErrConnectionClosed) {
		// The peer has closed its side, which closes this one. PeerLeft will come.
		return nil
	}
	return err
}

func (p *Peer) handle(event dyad.Event) error {
	switch event := event.(type) {
	case dyad.PeerJoined:
		return p.begin(true)
	case dyad.Offer:
		return p.takeOffer(event.SDP)
	case dyad.Answer:
		return p.takeAnswer(event.SDP)
	case dyad.Candidate:
		p.takeCandidate(event)
	case dyad.PeerLeft:
		// If it did not hang up, the media may go on until it joins again.
		if event.Reason == dyad.DepartureLeft {
			return p.replace(nil)
		}
	case dyad.Reconnected:
		p.mu.Lock()
		p.polite = event.Room.Polite
		// To the peer, this side has just joined: an offer will come.
		p.stale = p.stale || !event.Resumed
		p.mu.Unlock()
	}
	return nil
}

// RestartICE looks for a new path to the peer. Call it when the network of this machine
// changed, together with [dyad.Conn.NetworkChanged].
func (p *Peer) RestartICE() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pc != nil && p.pc.RemoteDescription() != nil {
		p.report(p.offer(true))
	}
}

// Close closes the peer connection. Nothing is sent any more. The error is pion's.
func (p *Peer) Close() error {
	p.cancel()
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	return p.replace(nil)
}

// begin makes a peer connection that replaces the last one.
func (p *Peer) begin(mayOffer bool) error {
	pc, err := p.config.API.NewPeerConnection(p.config.Configuration)
	if err != nil {
		return err
	}
	// pion may call these from within its methods, while mu is held.
	pc.OnICECandidate(func(candidate *webrtc.ICECandidate) { p.found(pc, candidate) })
	pc.OnICEConnectionStateChange(func(webrtc.ICEConnectionState) { go p.watch(pc) })
	pc.OnNegotiationNeeded(func() { go p.negotiate(pc, p.round.Load()) })
	// If the old one cannot be closed, that does not harm the new one.
	_ = p.replace(pc)
	p.mu.Lock()
	p.mayOffer = mayOffer
	closed := p.closed
	p.mu.Unlock()
	if closed || p.config.Setup == nil {
		return nil
	}
	return p.config.Setup(pc)
}

// replace closes the peer connection and continues with pc, which may be nil.
func (p *Peer) replace(pc *webrtc.PeerConnection) error {
	p.mu.Lock()
	last := p.pc
	if p.closed && pc != nil {
		last, pc = pc, nil
	}
	p.pc = pc
	p.stale, p.mayOffer, p.offering, p.offered, p.restarts = false, false, false, nil, false
	p.ignoring, p.early = false, nil
	if p.mend != nil {
		p.mend.Stop()
	}
	p.mu.Unlock()
	if last == nil {
		return nil
	}
	return last.Close()
}

// negotiate begins a negotiation, unless one has begun since pion asked for it in this
// round: pion asks again after that, if it is still needed.
func (p *Peer) negotiate(pc *webrtc.PeerConnection, round int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pc == pc && p.round.Load() == round {
		p.report(p.offer(false))
	}
}

// offer sends an offer, if this side may. p.mu must be held.
func (p *Peer) offer(restart bool) error {
	if !p.mayOffer || p.stale {
		return nil
	}
	if p.offering {
		p.restarts = p.restarts || restart
		return nil
	}
	offer, err := p.pc.CreateOffer(&webrtc.OfferOptions{ICERestart: restart})
	if err != nil {
		return err
	}
	if p.polite {
		p.offered = &offer
	} else if err := p.pc.SetLocalDescription(offer); err != nil {
		return err
	}
	p.offering = true
	return p.conn.SendOffer(p.ctx, offer.SDP)
}

func (p *Peer) takeOffer(sdp string) error {
	p.mu.Lock()
	if p.offering && !p.polite && !p.stale {
		p.ignoring = true
		p.mu.Unlock()
		return nil
	}
	// After an offer of its own, pion has named its media, and cannot rename them to the
	// names in the peer's offer. Before the first negotiation, there is nothing to keep.
	clash := p.offering && p.pc.RemoteDescription() == nil
	if p.pc == nil || p.stale || clash || p.pc.ConnectionState() == webrtc.PeerConnectionStateClosed {
		p.mu.Unlock()
		if err := p.begin(false); err != nil {
			return err
		}
		p.mu.Lock()
	}
	defer p.mu.Unlock()
	if p.pc == nil {
		return nil // It was closed meanwhile.
	}
	p.offering, p.offered = false, nil
	p.round.Add(1)
	if err := p.describe(webrtc.SDPTypeOffer, sdp); err != nil {
		return err
	}
	answer, err := p.pc.CreateAnswer(nil)
	if err != nil {
		return err
	}
	p.mayOffer = true
	if err := p.pc.SetLocalDescription(answer); err != nil {
		return err
	}
	// The peer's offer replaces a restart that this side wanted.
	p.restarts = false
	return p.conn.SendAnswer(p.ctx, answer.SDP)
}

func (p *Peer) takeAnswer(sdp string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pc == nil || !p.offering {
		return nil // It answers an offer that this side has given up.
	}
	if p.offered != nil {
		if err := p.pc.SetLocalDescription(*p.offered); err != nil {
			return err
		}
	}
	p.offering, p.offered = false, nil
	if err := p.describe(webrtc.SDPTypeAnswer, sdp); err != nil || !p.restarts {
		return err
	}
	p.restarts = false
	return p.offer(true)
}

// describe sets the remote description. p.mu must be held.
func (p *Peer) describe(kind webrtc.SDPType, sdp string) error {
	if err := p.pc.SetRemoteDescription(webrtc.SessionDescription{Type: kind, SDP: sdp}); err != nil {
		// pion can go neither on nor back within a negotiation.
		p.stale = p.pc.SignalingState() != webrtc.SignalingStateStable
		return fmt.Errorf("pion cannot use the %s of the other side: %w", kind, err)
	}
	p.ignoring = false
	for _, candidate := range p.early {
		p.add(candidate)
	}
	p.early = nil
	return nil
}

func (p *Peer) report(err error) {
	// After a hang-up of either side, late candidates have nowhere to go.
	over := p.ctx.Err() != nil || errors.Is(err, dyad.ErrClosed) ||
		errors.Is(err, dyad.ErrNotInRoom) || errors.Is(err, webrtc.ErrConnectionClosed)
	if err != nil && !over && p.config.Failed != nil {
		p.config.Failed(err)
	}
}
