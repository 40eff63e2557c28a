package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// polling is an engine.io session over HTTP long polling.
type polling struct {
	client *http.Client
	url    string
}

// upgrade opens a session as socket.io's client does by default: over long
// polling, and then over a WebSocket that takes its place.
func upgrade(address string, greeting []byte) (participant, error) {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	session := polling{
		&http.Client{Transport: transport, Timeout: connectTimeout},
		"http://" + address + "/socket.io/?EIO=4&transport=polling",
	}
	opened, err := session.poll()
	if err != nil {
		return nil, err
	}
	var open struct {
		SID string `json:"sid"`
	}
	if len(opened) == 0 || json.Unmarshal(opened[1:], &open) != nil || open.SID == "" {
		return nil, fmt.Errorf("the handshake was answered by %.80q", opened)
	}
	session.url += "&sid=" + open.SID
	if err := session.post(greeting); err != nil {
		return nil, err
	}
	connected, err := session.poll()
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(connected, []byte("40")) {
		return nil, fmt.Errorf("the token was answered by %.80q", connected)
	}
	return session.probe(address, open.SID)
}

// probe tries the WebSocket while a poll is under way, and then changes over.
func (s polling) probe(address, sid string) (participant, error) {
	last := make(chan error, 1)
	go func() {
		text, err := s.poll()
		if err == nil && !bytes.Equal(text, []byte("6")) { // engine.io's noop
			err = fmt.Errorf("the last poll was answered by %.80q", text)
		}
		last <- err
	}()
	socket, err := openSocket("ws://" + address + "/socket.io/?EIO=4&transport=websocket&sid=" + sid)
	if err != nil {
		return nil, err
	}
	p := &socketIOParticipant{socket: socket}
	err = socket.write([]byte("2probe"))
	if err == nil {
		_, err = p.packet("3probe")
	}
	if err == nil {
		err = <-last
	}
	if err == nil {
		err = socket.write([]byte("5"))
	}
	if err != nil {
		p.abort()
		return nil, fmt.Errorf("upgrading: %w", err)
	}
	return p, nil
}

func (s polling) poll() ([]byte, error) {
	answer, err := s.client.Get(fmt.Sprintf("%s&t=%d", s.url, time.Now().UnixNano()))
	return body(answer, err)
}

func (s polling) post(text []byte) error {
	answer, err := s.client.Post(s.url, "text/plain;charset=UTF-8", bytes.NewReader(text))
	_, err = body(answer, err)
	return err
}

func body(answer *http.Response, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("HTTP status %d: %.80q", answer.StatusCode, text)
	}
	return text, err
}
