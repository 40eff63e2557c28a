package dyad

import "fmt"

// An Event is something that happened in a call: a [PeerJoined], [PeerLeft],
// [Offer], [Answer], [Candidate], *[Refused], [Reconnecting] or [Reconnected]. Each says
// in which room. None of them shows an e-mail address, SDP or candidate when it is printed
// or logged.
type Event interface{ event() }

// A Participant is a user in a room, as named by the app's token.
type Participant struct {
	// UserID is the token's sub.
	UserID string
	// Email is the token's email; empty if it has none.
	Email string
}

// A Room is a room that this participant has entered.
type Room struct {
	// ID is what the other participant needs to join.
	ID string
	// Peer is the participant already there, or nil if the room was empty.
	Peer *Participant
	// Polite is this participant's role in the W3C's "perfect negotiation".
	Polite bool
}

// PeerJoined says that the peer joined the room.
type PeerJoined struct {
	RoomID      string
	Participant Participant
}

// PeerLeft says that the peer is gone.
type PeerLeft struct {
	RoomID      string
	Participant Participant
	Reason      Departure
}

// An Offer is the peer's SDP offer.
type Offer struct {
	RoomID string
	SDP    string
	Sender Participant
}

// An Answer is the peer's SDP answer.
type Answer struct {
	RoomID string
	SDP    string
	Sender Participant
}

// A Candidate is an ICE candidate, sent or received: the W3C's RTCIceCandidateInit.
// Nil means absent, which differs from empty and from 0.
type Candidate struct {
	// Candidate is the candidate-attribute. An empty text marks the end of the candidates.
	Candidate string
	// SDPMid is the mid of the media description it belongs to.
	SDPMid *string
	// SDPMLineIndex is the index of that media description, from 0.
	SDPMLineIndex *uint32
	// UsernameFragment is the ICE username fragment of its generation.
	UsernameFragment *string
	// RoomID and Sender say where it was received, and who sent it. Sending ignores both.
	RoomID string
	Sender Participant
}

// Reconnecting says that the connection broke and the client is reconnecting. Frames
// that the app sends meanwhile wait.
type Reconnecting struct {
	RoomID string
	Cause  *Ended
}

// Reconnected says that the client is in the room again.
type Reconnected struct {
	// Room is that room, and who else is in it now.
	Room Room
	// Resumed says that no frame was lost. Otherwise this is a new session:
	// negotiate again.
	Resumed bool
}

func (PeerJoined) event()   {}
func (PeerLeft) event()     {}
func (Offer) event()        {}
func (Answer) event()       {}
func (Candidate) event()    {}
func (*Refused) event()     {}
func (Reconnecting) event() {}
func (Reconnected) event()  {}

// A Departure is why a peer left; the numbers are the contract's.
type Departure int32

const (
	// DepartureUnspecified: the reason is one that only a newer server knows.
	DepartureUnspecified Departure = iota
	// DepartureLeft: they hung up.
	DepartureLeft
	// DepartureDisconnected: their connection ended without a hang-up.
	DepartureDisconnected
	// DepartureReplaced: they lost the state of the call and join again. Negotiate
	// again.
	DepartureReplaced
)

// String returns the contract's name of the reason, without its prefix.
func (d Departure) String() string {
	switch d {
	case DepartureLeft:
		return "LEFT"
	case DepartureDisconnected:
		return "DISCONNECTED"
	case DepartureReplaced:
		return "REPLACED"
	default:
		return fmt.Sprintf("UNSPECIFIED(%d)", int32(d))
	}
}
