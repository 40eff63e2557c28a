package main

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// beatEvery is how often PeerJS' client sends a heartbeat.
	beatEvery = 5 * time.Second
	// leaveTimeout bounds how long a server may take to let all leave.
	leaveTimeout = 30 * time.Second
)

// idlers are pairs that only answer heartbeats.
type idlers struct {
	pairs []*pair
	// stopping says that what ends is meant to end.
	stopping atomic.Bool
	// lost counts participants whose call ended by itself.
	lost      atomic.Int64
	listening sync.WaitGroup
}

func (i *idlers) add(one *pair) {
	i.pairs = append(i.pairs, one)
	for _, end := range one.ends() {
		i.listening.Go(func() {
			// Nothing is due: what returns is the end.
			_, _ = end.receive()
			if !i.stopping.Load() {
				i.lost.Add(1)
			}
		})
		if heart, ok := end.(beating); ok {
			go i.beat(heart)
		}
	}
}

func (i *idlers) beat(heart beating) {
	// Not all at the same time.
	time.Sleep(rand.N(beatEvery))
	for heart.beat() == nil && !i.stopping.Load() {
		time.Sleep(beatEvery)
	}
}

// close lets all leave, so that no seat is kept, and drops their connections.
func (i *idlers) close() {
	i.stopping.Store(true)
	polite := false
	for _, one := range i.pairs {
		for _, end := range one.ends() {
			if seat, ok := end.(leaving); ok {
				polite = true
				_ = seat.leave()
			}
		}
	}
	if polite {
		i.await()
	}
	for _, one := range i.pairs {
		one.abort()
	}
}

// await waits until every participant has heard that the call is over.
func (i *idlers) await() {
	done := make(chan struct{})
	go func() {
		i.listening.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(leaveTimeout):
	}
}
