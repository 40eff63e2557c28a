package dyad

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// Whatever a program prints or logs of a room, participant or event, with whatever verb or
// handler, shows no e-mail address, SDP or candidate. Types that only contain a
// Participant need no method for package fmt, but one for slog's JSON.

// String returns the user's id.
func (p Participant) String() string { return p.UserID }

// String returns the offer without its SDP.
func (o Offer) String() string { return fmt.Sprintf("offer from %s, %d bytes", o.Sender, len(o.SDP)) }

// String returns the answer without its SDP.
func (a Answer) String() string {
	return fmt.Sprintf("answer from %s, %d bytes", a.Sender, len(a.SDP))
}

// String returns who sent the candidate.
func (c Candidate) String() string {
	if c.Candidate == "" {
		return fmt.Sprintf("end of candidates from %s", c.Sender)
	}
	return fmt.Sprintf("candidate from %s", c.Sender)
}

// String returns the state of the connection.
func (c *Conn) String() string { return fmt.Sprintf("dyad.Conn, %s", c.State().Phase) }

// Format implements [fmt.Formatter].
func (p Participant) Format(to fmt.State, _ rune) { _, _ = io.WriteString(to, p.String()) }

// Format implements [fmt.Formatter].
func (o Offer) Format(to fmt.State, _ rune) { _, _ = io.WriteString(to, o.String()) }

// Format implements [fmt.Formatter].
func (a Answer) Format(to fmt.State, _ rune) { _, _ = io.WriteString(to, a.String()) }

// Format implements [fmt.Formatter].
func (c Candidate) Format(to fmt.State, _ rune) { _, _ = io.WriteString(to, c.String()) }

// Format implements [fmt.Formatter].
func (c *Conn) Format(to fmt.State, _ rune) { _, _ = io.WriteString(to, c.String()) }

// LogValue implements [slog.LogValuer].
func (p Participant) LogValue() slog.Value { return logged(p) }

// LogValue implements [slog.LogValuer].
func (r Room) LogValue() slog.Value { return logged(r) }

// LogValue implements [slog.LogValuer].
func (p PeerJoined) LogValue() slog.Value { return logged(p) }

// LogValue implements [slog.LogValuer].
func (p PeerLeft) LogValue() slog.Value { return logged(p) }

// LogValue implements [slog.LogValuer].
func (o Offer) LogValue() slog.Value { return logged(o) }

// LogValue implements [slog.LogValuer].
func (a Answer) LogValue() slog.Value { return logged(a) }

// LogValue implements [slog.LogValuer].
func (c Candidate) LogValue() slog.Value { return logged(c) }

// LogValue implements [slog.LogValuer].
func (r Reconnected) LogValue() slog.Value { return logged(r) }

func logged(value any) slog.Value { return slog.StringValue(fmt.Sprintf("%+v", value)) }

// reasonOf returns why something failed, for the log. It leaves out what the app's token
// source said, which may be personal.
func reasonOf(err error) slog.Attr {
	var token *tokenError
	var ended *Ended
	reason := err.Error()
	switch {
	case errors.As(err, &token):
		reason = "the token source failed"
	case errors.As(err, &ended):
		reason = fmt.Sprintf("%s: %s", ended.Code, ended.Message)
	}
	return slog.String("reason", reason)
}
