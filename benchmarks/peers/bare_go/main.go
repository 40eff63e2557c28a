// Command bare_go is a relay of Dyad's contract on grpc-go, without tokens,
// limits, numbers or resuming.
package main

import (
	"crypto/rand"
	"log"
	"net"
	"os"
	"slices"
	"sync"

	dyadv1 "github.com/dyad-signaling/dyad/clients/go/dyad/v1"
	"google.golang.org/grpc"
)

// end is one participant's stream; a stream takes one write at a time.
type end struct {
	writing sync.Mutex
	stream  dyadv1.Signaling_SignalServer
}

func (e *end) write(frames []*dyadv1.Frame) error {
	e.writing.Lock()
	defer e.writing.Unlock()
	return e.stream.Send(&dyadv1.SignalResponse{Frames: frames})
}

type relay struct {
	dyadv1.UnimplementedSignalingServer
	mutex sync.Mutex
	rooms map[string][]*end
}

func (r *relay) Signal(stream dyadv1.Signaling_SignalServer) error {
	first, err := stream.Recv()
	if err != nil {
		return nil
	}
	frame := first.GetFrames()[0]
	room := frame.GetRoomId()
	if room == "" {
		room = rand.Text()
	}
	here := &end{stream: stream}
	r.mutex.Lock()
	r.rooms[room] = append(r.rooms[room], here)
	r.mutex.Unlock()
	defer r.leave(room, here)
	confirmed := &dyadv1.Frame{RoomId: room, ReplyTo: frame.GetSeq(), Event: frame.GetEvent()}
	if err := here.write([]*dyadv1.Frame{confirmed}); err != nil {
		return err
	}
	if peer := r.peer(room, here); peer != nil {
		_ = peer.write(first.GetFrames())
	}
	for {
		message, err := stream.Recv()
		if err != nil {
			return nil
		}
		if peer := r.peer(room, here); peer != nil {
			_ = peer.write(message.GetFrames())
		}
	}
}

func (r *relay) peer(room string, here *end) *end {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	for _, one := range r.rooms[room] {
		if one != here {
			return one
		}
	}
	return nil
}

func (r *relay) leave(room string, here *end) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.rooms[room] = slices.DeleteFunc(r.rooms[room], func(one *end) bool { return one == here })
	if len(r.rooms[room]) == 0 {
		delete(r.rooms, room)
	}
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer()
	dyadv1.RegisterSignalingServer(server, &relay{rooms: map[string][]*end{}})
	log.Fatal(server.Serve(listener))
}
