package dyad

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
)

var (
	// ErrClosed is the error of a connection that is used after [Conn.Close] or
	// [Conn.Detach].
	ErrClosed = errors.New("dyad: the connection is closed")
	// ErrTooLarge is the error of an offer, answer or candidate that is larger than the
	// server accepts. Nothing is sent, and the call continues. Sending it again does not
	// help.
	ErrTooLarge = errors.New("dyad: too large")
)

var (
	// The end of a participant that has hung up.
	errLeft = errors.New("dyad: left the room")
	// The end of a participant that could not tell the server in time that it hangs up.
	errUnacknowledged = errors.New("dyad: the server has not acknowledged the hang-up")
	errNoRoom         = &Refused{Code: ErrNotInRoom, Message: "This connection is in no room: call Create or Join first."}
)

// tokenError says that the app's token source failed.
type tokenError struct{ err error }

func (t *tokenError) Error() string { return "dyad: the token source failed: " + t.err.Error() }

func (t *tokenError) Unwrap() error { return t.err }

// A Refusal is why a frame was refused; the numbers are the contract's.
// Refusals are errors, so errors.Is(err, dyad.ErrRoomFull) asks for one.
type Refusal int32

const (
	// ErrInvalidFrame: the frame breaks the contract.
	ErrInvalidFrame Refusal = iota + 1
	// ErrRoomNotFound: the room does not exist, or no longer exists.
	ErrRoomNotFound
	// ErrRoomFull: the room has two participants already.
	ErrRoomFull
	// ErrNotInRoom: this connection is not in that room.
	ErrNotInRoom
	// ErrPeerAbsent: there is no peer in the room to receive the frame.
	ErrPeerAbsent
)

// String returns the contract's name of the refusal, without its prefix.
func (r Refusal) String() string {
	switch r {
	case ErrInvalidFrame:
		return "INVALID_FRAME"
	case ErrRoomNotFound:
		return "ROOM_NOT_FOUND"
	case ErrRoomFull:
		return "ROOM_FULL"
	case ErrNotInRoom:
		return "NOT_IN_ROOM"
	case ErrPeerAbsent:
		return "PEER_ABSENT"
	default:
		return fmt.Sprintf("UNSPECIFIED(%d)", int32(r))
	}
}

func (r Refusal) Error() string { return "dyad: refused: " + r.String() }

// Refused says that the server refused a frame, which had no effect. The call
// continues. [Conn.Create], [Conn.Join] and [Conn.Leave] return it as their error. For
// [Conn.SendOffer], [Conn.SendAnswer] and [Conn.SendCandidate], which wait for no answer,
// it is an [Event].
type Refused struct {
	// Code is for the program.
	Code Refusal
	// Message is for the person who reads the log.
	Message string
	// RoomID is the room of an event. Otherwise it is empty.
	RoomID string
}

func (r *Refused) Error() string {
	return fmt.Sprintf("dyad: refused: %s: %s", r.Code.String(), r.Message)
}

// Unwrap returns the code, for errors.Is.
func (r *Refused) Unwrap() error { return r.Code }

// The kinds of [Ended], for errors.Is.
var (
	// ErrUnauthenticated: no token, or a bad or expired one. Connect again with
	// a new token.
	ErrUnauthenticated = errors.New("dyad: unauthenticated")
	// ErrForbidden: the token is good, but for another room.
	ErrForbidden = errors.New("dyad: forbidden")
	// ErrOverloaded: the client exceeded a limit: a frame too large, too many
	// frames, or events not read. Connect again, and send less.
	ErrOverloaded = errors.New("dyad: overloaded")
	// ErrTimedOut: no room was entered in time, or no peer joined in time.
	ErrTimedOut = errors.New("dyad: timed out")
	// ErrTakenOver: another connection of the same user took the seat (RetryAfter
	// is negative), or client and server are out of sync.
	ErrTakenOver = errors.New("dyad: taken over")
	// ErrUnavailable: the server is stopping or out of reach. Connect again after
	// RetryAfter.
	ErrUnavailable = errors.New("dyad: unavailable")
)

var kinds = map[codes.Code]error{
	codes.Unauthenticated:   ErrUnauthenticated,
	codes.PermissionDenied:  ErrForbidden,
	codes.ResourceExhausted: ErrOverloaded,
	codes.DeadlineExceeded:  ErrTimedOut,
	codes.Aborted:           ErrTakenOver,
	codes.Unavailable:       ErrUnavailable,
	// Networks and proxies that drop a connection cause these.
	codes.Canceled: ErrUnavailable,
	codes.Internal: ErrUnavailable,
	codes.Unknown:  ErrUnavailable,
}

// Ended says that the connection is over, and whether to connect again.
type Ended struct {
	// Code is the gRPC status it ended with.
	Code codes.Code
	// Message is for the person who reads the log.
	Message string
	// RetryAfter is how long the server asks to wait before connecting again, or
	// 0. Add some jitter. Negative: do not connect again unless the user asks
	// for it.
	RetryAfter time.Duration
	// Refused is set if the client reconnected by itself and the server refused
	// to let it into the room.
	Refused *Refused
	// Cause is the error beneath, or nil. If the token source failed until the client
	// gave up, it is that source's error.
	Cause error
	// told says that the server or this client ended the connection on purpose.
	// Otherwise it broke, whatever the code says: a proxy may have answered.
	told bool
}

func (e *Ended) Error() string {
	text := fmt.Sprintf("dyad: the connection ended: %s: %s", e.Code, e.Message)
	if e.Refused != nil {
		text += fmt.Sprintf(" (and joining again was refused: %s)", e.Refused.Code.String())
	}
	if e.Cause != nil {
		text += fmt.Sprintf(" (and then: %s)", e.Cause)
	}
	return text
}

// Is reports whether target is the kind of this end.
func (e *Ended) Is(target error) bool { return kinds[e.Code] == target }

// Unwrap returns the refusal and the cause, as far as there are any.
func (e *Ended) Unwrap() []error {
	var beneath []error
	if e.Refused != nil {
		beneath = append(beneath, e.Refused)
	}
	if e.Cause != nil {
		beneath = append(beneath, e.Cause)
	}
	return beneath
}

// replaced reports whether another session of the same user has taken the seat.
func (e *Ended) replaced() bool { return e.Code == codes.Aborted && e.RetryAfter < 0 && e.told }

// Retryable reports whether to enter the room again with [Conn.Create] or [Conn.Join], with
// nothing else changed.
func (e *Ended) Retryable() bool {
	kind := kinds[e.Code]
	return e.Refused == nil && e.RetryAfter >= 0 &&
		(kind == ErrUnavailable || kind == ErrOverloaded)
}
