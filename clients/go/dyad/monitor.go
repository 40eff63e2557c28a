package dyad

import (
	"context"
	"sync"
	"time"
)

// monitor is a mutex, and a way to wait for what it guards to change.
type monitor struct {
	mu sync.Mutex
	// changed is closed and replaced whenever something that mu guards changes.
	changed chan struct{}
}

func newMonitor() monitor { return monitor{changed: make(chan struct{})} }

// wait releases mu until ready returns true or ctx ends. mu must be held.
func (m *monitor) wait(ctx context.Context, ready func() bool) error {
	return m.waitTimed(ctx, func() (bool, time.Duration) { return ready(), 0 })
}

// waitTimed is like wait. If ready also returns a time, it is asked again after that
// time, even if nothing changed.
func (m *monitor) waitTimed(ctx context.Context, ready func() (bool, time.Duration)) error {
	for {
		done, again := ready()
		if done {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var timer <-chan time.Time
		if again > 0 {
			timer = time.After(again)
		}
		changed := m.changed
		m.mu.Unlock()
		select {
		case <-changed:
		case <-timer:
		case <-ctx.Done():
		}
		m.mu.Lock()
	}
}

// notify wakes every goroutine that waits. mu must be held.
func (m *monitor) notify() {
	close(m.changed)
	m.changed = make(chan struct{})
}
