package dyad

import "context"

// AwaitLeaving waits until a Leave waits for its answer.
func (c *Conn) AwaitLeaving(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wait(ctx, func() bool { return c.current != nil && c.current.leaving })
}
