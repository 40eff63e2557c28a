package dyad_test

import (
	"io"
	"net"
	"sync"
	"testing"
)

// network is a TCP proxy that breaks the way networks break.
type network struct {
	address string
	target  string
	t       *testing.T

	mu       sync.Mutex
	listener net.Listener
	links    map[net.Conn]struct{}
}

func through(t *testing.T, target string) *network {
	t.Helper()
	n := &network{address: "127.0.0.1:0", target: target, t: t, links: make(map[net.Conn]struct{})}
	n.accept()
	t.Cleanup(func() {
		n.refuse()
		n.cut()
	})
	return n
}

// accept accepts connections, on the same port as before.
func (n *network) accept() {
	listener, err := net.Listen("tcp", n.address)
	if err != nil {
		n.t.Fatal(err)
	}
	n.mu.Lock()
	n.listener, n.address = listener, listener.Addr().String()
	n.mu.Unlock()
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go n.link(client)
		}
	}()
}

// refuse rejects new connections; open connections stay open.
func (n *network) refuse() {
	n.mu.Lock()
	defer n.mu.Unlock()
	_ = n.listener.Close()
}

// route connects later connections to another target.
func (n *network) route(target string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.target = target
}

// cut resets every connection.
func (n *network) cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for end := range n.links {
		_ = end.(*net.TCPConn).SetLinger(0)
		_ = end.Close()
	}
	clear(n.links)
}

func (n *network) link(client net.Conn) {
	n.mu.Lock()
	target := n.target
	n.mu.Unlock()
	server, err := net.Dial("tcp", target)
	if err != nil {
		_ = client.Close()
		return
	}
	n.mu.Lock()
	n.links[client], n.links[server] = struct{}{}, struct{}{}
	n.mu.Unlock()
	pump := func(to, from net.Conn) {
		_, _ = io.Copy(to, from)
		_ = to.Close()
		_ = from.Close()
	}
	go pump(server, client)
	pump(client, server)
}
