package dyad_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dyad-signaling/dyad/clients/go/dyad"
)

const (
	secret   = "a secret of the tests, of no use to anybody"
	patience = 2 * time.Minute
)

// program returns the path of the real server's command. If it is missing, the test
// is skipped, but fails in CI.
func program(t *testing.T) string {
	t.Helper()
	path := os.Getenv("TEST_DYAD")
	if path == "" {
		path = "../../../.venv/bin/dyad"
	}
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s does not exist: make test installs it", path)
		}
		t.Skipf("%s does not exist: make test installs it", path)
	}
	return path
}

// run returns the server's command with its arguments. It is not started yet.
func run(t *testing.T, arguments ...string) *exec.Cmd {
	t.Helper()
	command := exec.Command(program(t), arguments...)
	// The server refuses DYAD_ variables that it does not know.
	command.Env = slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return strings.HasPrefix(variable, "DYAD_")
	})
	command.Env = append(command.Env, "DYAD_JWT_SECRET="+secret)
	return command
}

// server is `dyad serve` in a process of its own.
type server struct {
	address string
	process *os.Process
}

var listening = regexp.MustCompile(`listening address=\S+:(\d+)`)

func serve(t *testing.T, options ...string) *server {
	t.Helper()
	// Making a token takes a while, and a client that has connected must join soon.
	token(t, "alice")
	token(t, "bob")
	command := run(t, append([]string{"serve", "--port", "0"}, options...)...)
	stderr, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		if found := listening.FindStringSubmatch(lines.Text()); found != nil {
			go func() { _, _ = io.Copy(io.Discard, stderr) }()
			return &server{"127.0.0.1:" + found[1], command.Process}
		}
	}
	t.Fatal("dyad serve ended before it listened")
	return nil
}

func (s *server) port() string {
	_, port, _ := net.SplitHostPort(s.address)
	return port
}

// shared are the tokens made so far.
var shared struct {
	sync.Mutex
	token map[string]string
}

// token returns a good token, as `dyad token` makes it.
func token(t *testing.T, sub string) string {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if made, ok := shared.token[sub]; ok {
		return made
	}
	out, err := run(t, "token", "--sub", sub, "--email", sub+"@example.com").Output()
	if err != nil {
		t.Fatal(err)
	}
	if shared.token == nil {
		shared.token = make(map[string]string)
	}
	shared.token[sub] = strings.TrimSpace(string(out))
	return shared.token[sub]
}

// fast is for a server that lets its users send this fast.
var fast = dyad.WithLimits(dyad.Limits{FramesPerSecond: 10_000, BytesPerSecond: 1_000_000})

// end is a participant. Its methods fail the test if something goes wrong.
type end struct {
	*dyad.Conn
	t    *testing.T
	ctx  context.Context
	next func() (dyad.Event, error, bool)
	stop func()
}

func dial(t *testing.T, address, sub string, options ...dyad.Option) *end {
	t.Helper()
	return dialWith(t, address, dyad.Token(token(t, sub)), options...)
}

func dialWith(t *testing.T, address string, source dyad.TokenSource, options ...dyad.Option) *end {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	connection, err := dyad.Dial(address, source, append([]dyad.Option{dyad.WithPlaintext()}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// The seat is of no use to another test, and its server may be frozen or gone.
		_ = connection.Detach()
		cancel()
	})
	e := &end{Conn: connection, t: t, ctx: ctx}
	e.begin()
	return e
}

// begin takes the events of the next room.
func (e *end) begin() {
	if e.stop != nil {
		e.stop()
	}
	e.next, e.stop = iter.Pull2(e.Events(e.ctx))
	e.t.Cleanup(e.stop)
}

func (e *end) creates() dyad.Room {
	e.t.Helper()
	room, err := e.Create(e.ctx)
	e.succeeds(err)
	e.begin()
	return room
}

func (e *end) joins(roomID string) dyad.Room {
	e.t.Helper()
	room, err := e.Join(e.ctx, roomID)
	e.succeeds(err)
	e.begin()
	return room
}

func (e *end) offers(sdp string) {
	e.t.Helper()
	e.succeeds(e.SendOffer(e.ctx, sdp))
}

func (e *end) hearsOffer(sdp string) {
	e.t.Helper()
	if heard := hears[dyad.Offer](e); heard.SDP != sdp {
		e.t.Errorf("it heard %+v", heard)
	}
}

// loses cuts the connection through net. It stays down until net.accept.
func (e *end) loses(net *network) {
	e.t.Helper()
	net.refuse()
	net.cut()
	hears[dyad.Reconnecting](e)
}

// leavesOver hangs up while the network is down, and succeeds once it is up again.
func (e *end) leavesOver(net *network) {
	e.t.Helper()
	left := make(chan error, 1)
	go func() { left <- e.Leave(e.ctx) }()
	e.succeeds(e.AwaitLeaving(e.ctx))
	net.accept()
	e.succeeds(<-left)
}

func (e *end) succeeds(err error) {
	e.t.Helper()
	if err != nil {
		e.t.Fatal(err)
	}
}

// hears returns the next event, which must be an E.
func hears[E dyad.Event](e *end) E {
	e.t.Helper()
	event, err, ok := e.next()
	if err != nil || !ok {
		var want E
		e.t.Fatalf("heard the end (%v), not %T", err, want)
	}
	heard, ok := event.(E)
	if !ok {
		if broke, ok := event.(dyad.Reconnecting); ok {
			e.t.Fatalf("the connection broke (%v) before %T was heard", broke.Cause, heard)
		}
		e.t.Fatalf("heard %#v, not %T", event, heard)
	}
	return heard
}

// nextOf returns the next event, and whether it is an E.
func nextOf[E dyad.Event](e *end) (E, bool) {
	e.t.Helper()
	event, err, ok := e.next()
	if err != nil || !ok {
		e.t.Fatalf("heard the end (%v)", err)
	}
	heard, ok := event.(E)
	return heard, ok
}

// hearsEnd returns the error that the events end with, or nil after Leave and Close.
func (e *end) hearsEnd() error {
	e.t.Helper()
	event, err, ok := e.next()
	if ok && err == nil {
		e.t.Fatalf("heard %#v, not the end", event)
	}
	return err
}

// hearsEndFor checks that the events end with cause.
func (e *end) hearsEndFor(cause error) {
	e.t.Helper()
	if err := e.hearsEnd(); !errors.Is(err, cause) {
		e.t.Errorf("it ended with %v", err)
	}
}

// pair returns Alice, who created a room, and Bob, who joined it, each through
// the address given.
func pair(t *testing.T, alices, bobs string, options ...dyad.Option) (alice, bob *end, roomID string) {
	t.Helper()
	alice, bob = dial(t, alices, "alice", options...), dial(t, bobs, "bob", options...)
	roomID = alice.creates().ID
	bob.joins(roomID)
	hears[dyad.PeerJoined](alice)
	return alice, bob, roomID
}

func candidate(from string, n int) dyad.Candidate {
	return dyad.Candidate{Candidate: fmt.Sprintf("candidate:%s %d", from, n)}
}
