package dyad

import "context"

// AwaitLeaving waits until a Leave has begun that is not answered yet.
func (c *Conn) AwaitLeaving(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wait(ctx, func() bool { return c.leaving != nil })
}
