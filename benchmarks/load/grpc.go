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
)

const windowBytes = 1 << 20

// grpcDialer opens Signal calls, over one connection for each participant, or
// one for all.
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
	// "passthrough" keeps thousands of connections from resolving an address. The windows are
	// those of Dyad's client for Go: with them, gRPC sends no ping for each message.
	return grpc.NewClient("passthrough:///"+d.to.Address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithStaticStreamWindowSize(windowBytes),
		grpc.WithStaticConnWindowSize(windowBytes))
}

func (d *grpcDialer) greets() bool { return true }

func (d *grpcDialer) close() {
	if d.shared != nil {
		_ = d.shared.Close()
	}
}

func (d *grpcDialer) connect(user string) (participant, error) {
	p := &grpcParticipant{session: session{bare: d.to.Bare}}
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
	session session
	own     *grpc.ClientConn
	call    dyadv1.Signaling_SignalClient
	cancel  context.CancelFunc
	// writing: the reader writes too, heartbeats and acknowledgements.
	writing sync.Mutex
}

func (p *grpcParticipant) write(frame *dyadv1.Frame) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	p.session.number(frame)
	return p.call.Send(&dyadv1.SignalRequest{Frames: []*dyadv1.Frame{frame}})
}

func (p *grpcParticipant) join(room string) (string, error) {
	p.session.enter(room)
	if err := p.write(joinFrame()); err != nil {
		return "", p.reason(err)
	}
	frame, err := p.next()
	if err != nil {
		return "", err
	}
	return p.session.entered(frame)
}

func (p *grpcParticipant) send(what event) error { return p.write(frameOf(what)) }

func (p *grpcParticipant) receive() (event, error) {
	frame, err := p.next()
	if err != nil {
		return event{}, err
	}
	return eventOf(frame)
}

func (p *grpcParticipant) next() (*dyadv1.Frame, error) {
	return p.session.next(p.read, p.answer)
}

func (p *grpcParticipant) read() ([]*dyadv1.Frame, error) {
	message, err := p.call.Recv()
	return message.GetFrames(), err
}

// answer writes an acknowledgement, or nothing for a heartbeat; neither has a number.
func (p *grpcParticipant) answer(due *dyadv1.Frame) error {
	message := &dyadv1.SignalRequest{}
	if due != nil {
		message.Frames = []*dyadv1.Frame{due}
	}
	p.writing.Lock()
	defer p.writing.Unlock()
	return p.reason(p.call.Send(message))
}

func (p *grpcParticipant) leave() error { return p.write(leaveFrame()) }

func (p *grpcParticipant) hangUp() error {
	defer p.abort()
	if err := p.leave(); err != nil {
		return p.reason(err)
	}
	if !p.session.bare {
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
