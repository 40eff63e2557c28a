package main

import (
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// connectTimeout bounds the handshake.
const connectTimeout = 20 * time.Second

// socket is a WebSocket that several goroutines may write to.
type socket struct {
	connection *websocket.Conn
	writing    sync.Mutex
}

func openSocket(url string) (*socket, error) {
	opener := websocket.Dialer{
		HandshakeTimeout: connectTimeout,
		ReadBufferSize:   2048,
		WriteBufferSize:  2048,
		WriteBufferPool:  &buffers,
	}
	connection, answer, err := opener.Dial(url, nil)
	if err != nil {
		return nil, err
	}
	_ = answer.Body.Close()
	return &socket{connection: connection}, nil
}

// buffers are shared, since thousands of sockets are idle at the same time.
var buffers sync.Pool

func (s *socket) write(text []byte) error { return s.send(websocket.TextMessage, text) }

func (s *socket) writeBinary(message []byte) error { return s.send(websocket.BinaryMessage, message) }

func (s *socket) send(kind int, message []byte) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.connection.WriteMessage(kind, message)
}

func (s *socket) read() ([]byte, error) {
	_, text, err := s.connection.ReadMessage()
	return text, err
}

// close ends the connection in good order.
func (s *socket) close() {
	goodbye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	_ = s.connection.WriteControl(websocket.CloseMessage, goodbye, time.Now().Add(time.Second))
	_ = s.connection.Close()
}
