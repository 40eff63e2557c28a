package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	dyadv1 "github.com/dyad-signaling/dyad/clients/go/dyad/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

// What docs/protocol.md asks of a client: to acknowledge at the latest then.
const (
	ackFrames = 32
	ackBytes  = 32 << 10
)

// grpcDialer speaks Dyad's contract, over one connection for each participant,
// or one for all.
type grpcDialer struct {
	to     server
	shared *grpc.ClientConn
}

func dialGRPC(to server, shared bool) (*grpcDialer, error) {
	d := &grpcDialer{to: to}
	if shared {
		connection, err := d.dial()
		if err != nil {
			return nil, err
		}
		d.shared = connection
	}
	return d, nil
}

func (d *grpcDialer) dial() (*grpc.ClientConn, error) {
	// "passthrough" keeps thousands of connections from resolving an address.
	return grpc.NewClient("passthrough:///"+d.to.Address,
		grpc.WithTransportCredentials(insecure.NewCredentials()))
}

func (d *grpcDialer) greets() bool { return true }

func (d *grpcDialer) close() {
	if d.shared != nil {
		_ = d.shared.Close()
	}
}

func (d *grpcDialer) connect(user string) (participant, error) {
	p := &grpcParticipant{bare: d.to.Bare}
	connection := d.shared
	if connection == nil {
		var err error
		if connection, err = d.dial(); err != nil {
			return nil, err
		}
		p.own = connection
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+tokenFor(d.to.Secret, user))
	call, err := dyadv1.NewSignalingClient(connection).Signal(ctx)
	if err != nil {
		p.abort()
		return nil, err
	}
	p.call = call
	return p, nil
}

type grpcParticipant struct {
	own    *grpc.ClientConn
	call   dyadv1.Signaling_SignalClient
	cancel context.CancelFunc
	bare   bool
	// queue holds what else came in the message that was read last.
	queue []*dyadv1.Frame

	// writing guards what follows: heartbeats and acks are written by the reader.
	writing    sync.Mutex
	room       string
	seq        uint64
	takenIn    uint64
	ackSent    uint64
	bytesSince int
}

func (p *grpcParticipant) write(frame *dyadv1.Frame) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	p.seq++
	frame.Seq, frame.Ack, frame.RoomId = p.seq, p.takenIn, p.room
	p.ackSent, p.bytesSince = p.takenIn, 0
	return p.call.Send(&dyadv1.SignalRequest{Frames: []*dyadv1.Frame{frame}})
}

func (p *grpcParticipant) join(room string) (string, error) {
	p.room = room
	request := &dyadv1.Frame{Event: &dyadv1.Frame_JoinRoom{JoinRoom: &dyadv1.JoinRoom{Resumable: true}}}
	if err := p.write(request); err != nil {
		return "", p.reason(err)
	}
	frame, err := p.next()
	if err != nil {
		return "", err
	}
	if frame.GetJoinRoom() == nil || frame.GetReplyTo() != 1 {
		return "", fmt.Errorf("join_room was answered by %v", frame)
	}
	p.room = frame.GetRoomId()
	return p.room, nil
}

func (p *grpcParticipant) send(what event) error {
	frame := &dyadv1.Frame{}
	switch what.kind {
	case offer:
		frame.Event = &dyadv1.Frame_Offer{Offer: &dyadv1.SessionDescription{Sdp: what.payload}}
	case answer:
		frame.Event = &dyadv1.Frame_Answer{Answer: &dyadv1.SessionDescription{Sdp: what.payload}}
	default:
		frame.Event = &dyadv1.Frame_IceCandidate{IceCandidate: &dyadv1.IceCandidate{
			Candidate:        what.payload,
			SdpMid:           proto.String("0"),
			SdpMLineIndex:    proto.Uint32(0),
			UsernameFragment: proto.String("EsAw"),
		}}
	}
	return p.write(frame)
}

func (p *grpcParticipant) receive() (event, error) {
	frame, err := p.next()
	if err != nil {
		return event{}, err
	}
	switch what := frame.GetEvent().(type) {
	case *dyadv1.Frame_JoinRoom:
		return event{kind: joined}, nil
	case *dyadv1.Frame_LeaveRoom:
		return event{kind: left}, nil
	case *dyadv1.Frame_Offer:
		return event{offer, what.Offer.GetSdp()}, nil
	case *dyadv1.Frame_Answer:
		return event{answer, what.Answer.GetSdp()}, nil
	case *dyadv1.Frame_IceCandidate:
		return event{candidate, what.IceCandidate.GetCandidate()}, nil
	default:
		return event{}, fmt.Errorf("the server said %v", frame)
	}
}

// next returns the next frame that carries an event.
func (p *grpcParticipant) next() (*dyadv1.Frame, error) {
	for {
		for len(p.queue) > 0 {
			frame := p.queue[0]
			p.queue = p.queue[1:]
			if err := p.takeIn(frame); err != nil {
				return nil, err
			}
			if frame.GetEvent() != nil {
				return frame, nil
			}
		}
		message, err := p.call.Recv()
		if err != nil {
			return nil, err
		}
		if len(message.GetFrames()) == 0 {
			if err := p.say(&dyadv1.SignalRequest{}); err != nil {
				return nil, err
			}
		}
		p.queue = message.GetFrames()
	}
}

// takeIn checks a frame's number, and acknowledges where that is due.
func (p *grpcParticipant) takeIn(frame *dyadv1.Frame) error {
	if p.bare || frame.GetSeq() == 0 {
		return nil
	}
	p.writing.Lock()
	if frame.GetSeq() != p.takenIn+1 {
		defer p.writing.Unlock()
		return fmt.Errorf("number %d came; %d was due", frame.GetSeq(), p.takenIn+1)
	}
	p.takenIn++
	p.bytesSince += proto.Size(frame)
	due := p.takenIn-p.ackSent >= ackFrames || p.bytesSince >= ackBytes
	acknowledgement := &dyadv1.Frame{Ack: p.takenIn}
	if due {
		p.ackSent, p.bytesSince = p.takenIn, 0
	}
	p.writing.Unlock()
	if due {
		return p.say(&dyadv1.SignalRequest{Frames: []*dyadv1.Frame{acknowledgement}})
	}
	return nil
}

func (p *grpcParticipant) say(message *dyadv1.SignalRequest) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	return p.call.Send(message)
}

func (p *grpcParticipant) hangUp() error {
	defer p.abort()
	if err := p.write(&dyadv1.Frame{Event: &dyadv1.Frame_LeaveRoom{LeaveRoom: &dyadv1.LeaveRoom{}}}); err != nil {
		return p.reason(err)
	}
	if !p.bare {
		frame, err := p.next()
		if err != nil {
			return err
		}
		if frame.GetLeaveRoom() == nil || frame.GetReplyTo() == 0 {
			return fmt.Errorf("leave_room was answered by %v", frame)
		}
	}
	if err := p.call.CloseSend(); err != nil {
		return err
	}
	if _, err := p.next(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("the call did not end well: %w", err)
	}
	return nil
}

// reason is how a call ended that can no longer be written to.
func (p *grpcParticipant) reason(err error) error {
	if errors.Is(err, io.EOF) {
		_, err = p.call.Recv()
	}
	return err
}

func (p *grpcParticipant) abort() {
	p.cancel()
	if p.own != nil {
		_ = p.own.Close()
	}
}
