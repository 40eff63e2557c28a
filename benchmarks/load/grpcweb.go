package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	dyadv1 "github.com/dyad-signaling/dyad/clients/go/dyad/v1"
	"google.golang.org/protobuf/proto"
)

const (
	grpcWebType = "application/grpc-web+proto"
	// trailersFlag marks the part of a grpc-web body that holds the trailers.
	trailersFlag = 0x80
	headBytes    = 5
	// No server here sends more in one message.
	messageLimit = 4 << 20
)

// grpcWebDialer speaks grpc-web over HTTP/1.1 as a browser does to Envoy: a
// Listen, and one Send at a time.
type grpcWebDialer struct{ to server }

func (d *grpcWebDialer) greets() bool { return true }

func (d *grpcWebDialer) close() {}

func (d *grpcWebDialer) connect(user string) (participant, error) {
	ctx, cancel := context.WithCancel(context.Background())
	p := &grpcWebParticipant{
		url:       "http://" + d.to.Address + "/dyad.v1.Signaling/",
		token:     "Bearer " + tokenFor(d.to.Secret, user),
		transport: &http.Transport{DisableCompression: true},
		lifetime:  ctx,
		cancel:    cancel,
	}
	body, err := p.post("Listen", &dyadv1.ListenRequest{})
	if err != nil {
		p.abort()
		return nil, err
	}
	p.listen = body
	first, err := p.message()
	if err == nil && first.GetSessionId() == "" {
		err = fmt.Errorf("the stream began with %v", first)
	}
	if err != nil {
		p.abort()
		return nil, err
	}
	p.id = first.GetSessionId()
	return p, nil
}

type grpcWebParticipant struct {
	session   session
	url       string
	token     string
	transport *http.Transport
	lifetime  context.Context
	cancel    context.CancelFunc
	listen    io.ReadCloser
	id        string

	// One Send is under way at a time; what gathers meanwhile goes in the next.
	mutex   sync.Mutex
	waiting []*dyadv1.Frame
	beat    bool
	sending bool
	failed  error
}

func (p *grpcWebParticipant) post(method string, message proto.Message) (io.ReadCloser, error) {
	text, err := proto.Marshal(message)
	if err != nil {
		return nil, err
	}
	body := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(text)))
	request, err := http.NewRequestWithContext(p.lifetime, http.MethodPost, p.url+method,
		bytes.NewReader(append(body, text...)))
	if err != nil {
		return nil, err
	}
	request.Header.Set("content-type", grpcWebType)
	request.Header.Set("x-grpc-web", "1")
	request.Header.Set("authorization", p.token)
	answer, err := p.transport.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	status := answer.Header.Get("grpc-status")
	if answer.StatusCode != http.StatusOK || status != "" && status != "0" {
		_ = answer.Body.Close()
		return nil, fmt.Errorf("%s: HTTP status %d, gRPC status %s: %s",
			method, answer.StatusCode, status, answer.Header.Get("grpc-message"))
	}
	return answer.Body, nil
}

// part reads one part of a grpc-web body.
func part(body io.Reader) (flag byte, text []byte, err error) {
	var head [headBytes]byte
	if _, err = io.ReadFull(body, head[:]); err != nil {
		return 0, nil, err
	}
	size := binary.BigEndian.Uint32(head[1:])
	if size > messageLimit {
		return 0, nil, fmt.Errorf("a message of %d bytes", size)
	}
	text = make([]byte, size)
	_, err = io.ReadFull(body, text)
	return head[0], text, err
}

// message returns the next message of Listen.
func (p *grpcWebParticipant) message() (*dyadv1.ListenResponse, error) {
	flag, text, err := part(p.listen)
	if err != nil {
		return nil, err
	}
	if flag&trailersFlag != 0 {
		return nil, fmt.Errorf("the stream ended: %q", text)
	}
	message := &dyadv1.ListenResponse{}
	return message, proto.Unmarshal(text, message)
}

// write sends a frame, now or with what gathers while a Send is under way.
// Without a frame it answers a heartbeat.
func (p *grpcWebParticipant) write(frame *dyadv1.Frame, numbered bool) error {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	switch {
	case frame == nil:
		p.beat = true
	case numbered:
		p.session.number(frame)
		fallthrough
	default:
		p.waiting = append(p.waiting, frame)
	}
	if !p.sending {
		p.sending = true
		go p.pump()
	}
	return p.failed
}

// pump sends what waits until nothing does.
func (p *grpcWebParticipant) pump() {
	for {
		p.mutex.Lock()
		if p.failed != nil || len(p.waiting) == 0 && !p.beat {
			p.sending = false
			p.mutex.Unlock()
			return
		}
		request := &dyadv1.SendRequest{SessionId: p.id, Frames: p.waiting}
		p.waiting, p.beat = nil, false
		p.mutex.Unlock()
		if err := p.unary(request); err != nil {
			p.mutex.Lock()
			p.failed = err
			p.mutex.Unlock()
			// The reader must not wait for what was not sent.
			p.cancel()
		}
	}
}

func (p *grpcWebParticipant) unary(request *dyadv1.SendRequest) error {
	body, err := p.post("Send", request)
	if err != nil {
		return err
	}
	defer body.Close()
	for {
		flag, text, err := part(body)
		if err != nil {
			return fmt.Errorf("the answer to Send has no trailers: %w", err)
		}
		if flag&trailersFlag == 0 {
			continue
		}
		if !strings.Contains(string(text), "grpc-status:0") && !strings.Contains(string(text), "grpc-status: 0") {
			return fmt.Errorf("the request ended: %q", text)
		}
		// To its end, so that the connection is used again.
		_, err = io.Copy(io.Discard, body)
		return err
	}
}

func (p *grpcWebParticipant) next() (*dyadv1.Frame, error) {
	return p.session.next(p.read, p.answer)
}

func (p *grpcWebParticipant) read() ([]*dyadv1.Frame, error) {
	message, err := p.message()
	if err != nil {
		p.mutex.Lock()
		defer p.mutex.Unlock()
		if p.failed != nil {
			err = p.failed
		}
	}
	return message.GetFrames(), err
}

func (p *grpcWebParticipant) answer(due *dyadv1.Frame) error { return p.write(due, false) }

func (p *grpcWebParticipant) join(room string) (string, error) {
	p.session.enter(room)
	if err := p.write(joinFrame(), true); err != nil {
		return "", err
	}
	frame, err := p.next()
	if err != nil {
		return "", err
	}
	return p.session.entered(frame)
}

func (p *grpcWebParticipant) send(what event) error { return p.write(frameOf(what), true) }

func (p *grpcWebParticipant) receive() (event, error) {
	frame, err := p.next()
	if err != nil {
		return event{}, err
	}
	return eventOf(frame)
}

func (p *grpcWebParticipant) leave() error { return p.write(leaveFrame(), true) }

func (p *grpcWebParticipant) hangUp() error {
	defer p.abort()
	if err := p.leave(); err != nil {
		return err
	}
	frame, err := p.next()
	if err == nil && (frame.GetLeaveRoom() == nil || frame.GetReplyTo() == 0) {
		err = fmt.Errorf("leave_room was answered by %v", frame)
	}
	return err
}

func (p *grpcWebParticipant) abort() {
	p.cancel()
	if p.listen != nil {
		_ = p.listen.Close()
	}
	p.transport.CloseIdleConnections()
}
