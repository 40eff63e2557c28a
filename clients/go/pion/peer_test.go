package pion_test

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dyad-signaling/dyad/clients/go/dyad"
	"github.com/dyad-signaling/dyad/clients/go/dyad/dyadtest"
	"github.com/dyad-signaling/dyad/clients/go/pion"
	"github.com/pion/webrtc/v4"
)

const patience = 2 * time.Minute

// path is the way to the other side. While it is down, nothing passes.
type path struct {
	net.PacketConn
	down atomic.Bool
}

func (p *path) ReadFrom(to []byte) (int, net.Addr, error) {
	for {
		n, from, err := p.PacketConn.ReadFrom(to)
		if err != nil || !p.down.Load() {
			return n, from, err
		}
	}
}

func (p *path) WriteTo(data []byte, to net.Addr) (int, error) {
	if p.down.Load() {
		return len(data), nil
	}
	return p.PacketConn.WriteTo(data, to)
}

// side is a user in a call, with a data channel to the other one.
type side struct {
	*dyad.Conn
	*pion.Peer
	t    *testing.T
	path *path
	// opened gets each data channel that has opened, and heard what they carry.
	opened chan *webrtc.DataChannel
	heard  chan string
	states chan webrtc.ICEConnectionState
	// first is the first description that came.
	first chan dyad.Event
	// left says that it has left the room: what it still says is refused.
	left atomic.Bool
	done sync.WaitGroup
}

func api(t *testing.T, packets net.PacketConn) *webrtc.API {
	t.Helper()
	var settings webrtc.SettingEngine
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	settings.SetICETimeouts(time.Second, time.Second, 200*time.Millisecond)
	settings.SetICEUDPMux(webrtc.NewICEUDPMux(nil, packets))
	return webrtc.NewAPI(webrtc.WithSettingEngine(settings))
}

func newPath(t *testing.T) *path {
	t.Helper()
	packets, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = packets.Close() })
	return &path{PacketConn: packets}
}

// enter lets a user enter a room, or create one, and negotiate there.
func enter(t *testing.T, server *dyadtest.Server, userID, roomID string) (*side, dyad.Room) {
	t.Helper()
	s := &side{
		Conn: server.Dial(t, userID), t: t, path: newPath(t),
		opened: make(chan *webrtc.DataChannel, 10),
		heard:  make(chan string, 10),
		states: make(chan webrtc.ICEConnectionState, 100),
		first:  make(chan dyad.Event, 1),
	}
	var room dyad.Room
	var err error
	if roomID == "" {
		room, err = s.Create(t.Context())
	} else {
		room, err = s.Join(t.Context(), roomID)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.Peer = pion.NewPeer(t.Context(), s.Conn, room, pion.Config{
		API:   api(t, s.path),
		Setup: s.setup,
		Failed: func(err error) {
			if !s.left.Load() {
				t.Errorf("%s: a negotiation failed: %v", userID, err)
			}
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	s.done.Add(1)
	go func() {
		defer s.done.Done()
		for event, err := range s.Events(ctx) {
			if err != nil {
				return
			}
			switch event.(type) {
			case dyad.Offer, dyad.Answer:
				select {
				case s.first <- event:
				default:
				}
			}
			if err := s.Handle(event); err != nil && !s.left.Load() {
				t.Errorf("%s: %v", userID, err)
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		s.done.Wait()
		_ = s.Peer.Close()
	})
	return s, room
}

// setup makes a data channel that both sides agree on, and asks for video.
func (s *side) setup(pc *webrtc.PeerConnection) error {
	agreed, number := true, uint16(0)
	channel, err := pc.CreateDataChannel("talk", &webrtc.DataChannelInit{Negotiated: &agreed, ID: &number})
	if err != nil {
		return err
	}
	if _, err := pc.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo); err != nil {
		return err
	}
	channel.OnOpen(func() { s.opened <- channel })
	channel.OnMessage(func(message webrtc.DataChannelMessage) { s.heard <- string(message.Data) })
	pc.OnConnectionStateChange(func(webrtc.PeerConnectionState) {
		select {
		case s.states <- pc.ICEConnectionState():
		default:
		}
	})
	return nil
}

func within[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	select {
	case got := <-from:
		return got
	case <-time.After(patience):
		t.Fatalf("no %s", what)
		panic("unreachable")
	}
}

// talk opens the channels between two sides and says something in each direction.
// leave leaves the room. Its last offer or answer may be under way.
func (s *side) leave() {
	s.t.Helper()
	s.left.Store(true)
	if err := s.Leave(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

func talk(t *testing.T, a, b *side) {
	t.Helper()
	for _, s := range []*side{a, b} {
		if err := within(t, "data channel", s.opened).SendText("hello"); err != nil {
			t.Fatal(err)
		}
	}
	within(t, "message", a.heard)
	within(t, "message", b.heard)
}

func TestTwoPeersConnect(t *testing.T) {
	server := dyadtest.NewServer(t)
	alice, room := enter(t, server, "alice", "")
	bob, _ := enter(t, server, "bob", room.ID)
	talk(t, alice, bob)
	// Not the latest description: the other side may offer too, later.
	if _, ok := within(t, "description", alice.first).(dyad.Answer); !ok {
		t.Error("the side that was in the room first did not offer first")
	}
}

func TestThePoliteSideOffersWhenSomebodyJoins(t *testing.T) {
	server := dyadtest.NewServer(t)
	alice, room := enter(t, server, "alice", "")
	bob, _ := enter(t, server, "bob", room.ID)
	talk(t, alice, bob)
	alice.leave()
	alice.done.Wait()
	carol, _ := enter(t, server, "carol", room.ID)
	talk(t, bob, carol)
}

func TestAPeerThatJoinsAgainGetsANewPeerConnection(t *testing.T) {
	for _, lost := range []string{"alice", "bob"} {
		server := dyadtest.NewServer(t)
		alice, room := enter(t, server, "alice", "")
		bob, _ := enter(t, server, "bob", room.ID)
		talk(t, alice, bob)
		server.CutAndRelease(lost)
		talk(t, alice, bob)
	}
}

func TestACutOfTheSignalingDoesNotDisturbTheMedia(t *testing.T) {
	server := dyadtest.NewServer(t)
	alice, room := enter(t, server, "alice", "")
	bob, _ := enter(t, server, "bob", room.ID)
	talk(t, alice, bob)
	before := alice.PeerConnection()
	server.Cut()
	bob.RestartICE()
	changes(t, alice)
	if alice.PeerConnection() != before {
		t.Error("there is another peer connection")
	}
}

// changes waits until the other side has restarted ICE.
func changes(t *testing.T, s *side) {
	t.Helper()
	first := s.PeerConnection().RemoteDescription()
	late := time.Now().Add(patience)
	for s.PeerConnection().RemoteDescription().SDP == first.SDP {
		if time.Now().After(late) {
			t.Fatal("ICE was not restarted")
		}
		time.Sleep(time.Millisecond)
	}
}

func TestALostPathIsReplacedByAnICERestart(t *testing.T) {
	server := dyadtest.NewServer(t)
	alice, room := enter(t, server, "alice", "")
	bob, _ := enter(t, server, "bob", room.ID)
	for _, s := range []*side{alice, bob} {
		// talk takes it again.
		s.opened <- within(t, "data channel", s.opened)
	}
	alice.path.down.Store(true)
	for state := within(t, "state", bob.states); state != webrtc.ICEConnectionStateFailed; {
		state = within(t, "state", bob.states)
	}
	alice.path.down.Store(false)
	talk(t, alice, bob)
}

func TestBothSidesMayRestartICEAtOnce(t *testing.T) {
	server := dyadtest.NewServer(t)
	alice, room := enter(t, server, "alice", "")
	bob, _ := enter(t, server, "bob", room.ID)
	talk(t, alice, bob)
	for range 20 {
		var both sync.WaitGroup
		for _, s := range []*side{alice, bob} {
			both.Add(1)
			go func() {
				defer both.Done()
				s.RestartICE()
			}()
		}
		both.Wait()
	}
	alice.path.down.Store(true)
	alice.path.down.Store(false)
	for _, s := range []*side{alice, bob} {
		for s.PeerConnection().ICEConnectionState() != webrtc.ICEConnectionStateConnected {
			within(t, "state", s.states)
		}
	}
}

func TestAClosedPeerSendsNothing(t *testing.T) {
	server := dyadtest.NewServer(t)
	alice, room := enter(t, server, "alice", "")
	if err := alice.Peer.Close(); err != nil {
		t.Fatal(err)
	}
	bob := server.Dial(t, "bob")
	if _, err := bob.Join(t.Context(), room.ID); err != nil {
		t.Fatal(err)
	}
	alice.leave()
	for event := range bob.Events(t.Context()) {
		if _, left := event.(dyad.PeerLeft); !left {
			t.Errorf("Bob heard %v", event)
		}
		break
	}
}
