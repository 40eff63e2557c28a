package pion

import (
	"sync"
	"time"

	"github.com/dyad-signaling/dyad/clients/go/dyad"
	"github.com/pion/webrtc/v4"
)

// found sends a candidate of this side. It is nil after the last one.
func (p *Peer) found(pc *webrtc.PeerConnection, candidate *webrtc.ICECandidate) {
	var sent dyad.Candidate
	if candidate != nil {
		init := candidate.ToJSON()
		sent.Candidate, sent.SDPMid, sent.UsernameFragment = init.Candidate, init.SDPMid, init.UsernameFragment
		if init.SDPMLineIndex != nil {
			index := uint32(*init.SDPMLineIndex)
			sent.SDPMLineIndex = &index
		}
	}
	p.outbox.put(found{pc, sent})
	go p.flush()
}

// flush sends the candidates that were found. While an offer or answer is being made, it
// waits, so they go out after it.
func (p *Peer) flush() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, found := range p.outbox.take() {
		if p.pc == found.pc && !p.stale {
			p.report(p.conn.SendCandidate(p.ctx, found.candidate))
		}
	}
}

// found is a candidate of a peer connection.
type found struct {
	pc        *webrtc.PeerConnection
	candidate dyad.Candidate
}

// outbox is a queue that never blocks.
type outbox struct {
	mu    sync.Mutex
	items []found
}

func (o *outbox) put(item found) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.items = append(o.items, item)
}

func (o *outbox) take() []found {
	o.mu.Lock()
	defer o.mu.Unlock()
	items := o.items
	o.items = nil
	return items
}

func (p *Peer) takeCandidate(event dyad.Candidate) {
	candidate := webrtc.ICECandidateInit{
		Candidate:        event.Candidate,
		SDPMid:           event.SDPMid,
		UsernameFragment: event.UsernameFragment,
	}
	if event.SDPMLineIndex != nil {
		index := uint16(*event.SDPMLineIndex)
		candidate.SDPMLineIndex = &index
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.pc == nil, p.ignoring, p.stale:
	case p.pc.RemoteDescription() == nil:
		p.early = append(p.early, candidate)
	default:
		p.add(candidate)
	}
}

// add adds a candidate. If pion cannot use it, another one may work.
func (p *Peer) add(candidate webrtc.ICECandidateInit) { _ = p.pc.AddICECandidate(candidate) }

// watch restarts ICE when the path is lost.
func (p *Peer) watch(pc *webrtc.PeerConnection) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pc != pc {
		return
	}
	if p.mend != nil {
		p.mend.Stop()
	}
	switch pc.ICEConnectionState() {
	case webrtc.ICEConnectionStateFailed:
		go p.restart(pc)
	case webrtc.ICEConnectionStateDisconnected:
		p.mend = time.AfterFunc(gap, func() { p.restart(pc) })
	}
}

func (p *Peer) restart(pc *webrtc.PeerConnection) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pc == pc {
		p.report(p.offer(true))
	}
}
