// Command load makes calls against signaling servers and checks every frame.
//
// It reads commands from standard input, one JSON object a line, carries them
// out in turn, and answers each with one line of JSON. It connects to loopback
// addresses only, and ends when its standard input does.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"
)

// command is one line of standard input.
type command struct {
	// Do is calls, open, stream or close.
	Do     string `json:"do"`
	Server server `json:"server"`
	// Group names pairs that stay open between commands.
	Group  string `json:"group"`
	Shared bool   `json:"shared"`
	// Count is how many calls to make, or pairs to open.
	Count  int `json:"count"`
	AtOnce int `json:"at_once"`
	// Talk says whether calls exchange descriptions and candidates.
	Talk bool `json:"talk"`
	// Idle says that opened pairs only answer heartbeats.
	Idle bool `json:"idle"`
	// Lone says that each opened pair lacks its callee.
	Lone bool `json:"lone"`
	// Seconds is how long frames are sent, or how long opening may take.
	Seconds float64 `json:"seconds"`
	Rate    float64 `json:"rate"`
	Window  int     `json:"window"`
}

// result is one line of standard output.
type result struct {
	Error   string  `json:"error,omitempty"`
	Seconds float64 `json:"seconds"`
	// CPU is what this process has used meanwhile, in seconds.
	CPU  float64 `json:"cpu"`
	Lost int64   `json:"lost"`
	Flow *flow   `json:"flow,omitempty"`
}

// patience is how long a command may take beyond the time it was given: then
// something that was due never came.
const patience = 90 * time.Second

// group is pairs that stay open.
type group struct {
	dialer dialer
	pairs  []*pair
	idlers *idlers
}

func main() {
	groups := map[string]*group{}
	lines := bufio.NewScanner(os.Stdin)
	answers := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var order command
		err := json.Unmarshal(lines.Bytes(), &order)
		answer := result{}
		if err == nil {
			before, began := cpuSeconds(), time.Now()
			limit := patience + time.Duration(order.Seconds*float64(time.Second))
			stuck := time.AfterFunc(limit, func() {
				_ = answers.Encode(result{Error: fmt.Sprintf("something that was due did not come within %v", limit)})
				os.Exit(1)
			})
			err = carryOut(order, groups, &answer)
			stuck.Stop()
			answer.Seconds, answer.CPU = time.Since(began).Seconds(), cpuSeconds()-before
		}
		if err != nil {
			answer.Error = err.Error()
		}
		if answers.Encode(answer) != nil {
			return
		}
	}
}

func carryOut(order command, groups map[string]*group, answer *result) error {
	switch order.Do {
	case "calls":
		to, err := newDialer(order)
		if err != nil {
			return err
		}
		defer to.close()
		return calls(to, order.Count, order.AtOnce, order.Talk)
	case "open":
		return open(order, groups)
	case "stream":
		one, found := groups[order.Group]
		if !found {
			return fmt.Errorf("no group is called %q", order.Group)
		}
		seen, err := stream(one.pairs, time.Duration(order.Seconds*float64(time.Second)), order.Rate, order.Window)
		answer.Flow = &seen
		return err
	case "close":
		one, found := groups[order.Group]
		if !found {
			return nil
		}
		delete(groups, order.Group)
		answer.Lost = one.idlers.lost.Load()
		one.close()
		return nil
	default:
		return fmt.Errorf("no command is called %q", order.Do)
	}
}

// newDialer refuses what is not on this machine: this is a load generator.
func newDialer(order command) (dialer, error) {
	host, _, err := net.SplitHostPort(order.Server.Address)
	if err != nil {
		return nil, err
	}
	if address := net.ParseIP(host); address == nil || !address.IsLoopback() {
		return nil, errors.New("only loopback addresses are allowed")
	}
	return dial(order.Server, order.Shared)
}

// open adds pairs to a group.
func open(order command, groups map[string]*group) error {
	one, found := groups[order.Group]
	if !found {
		to, err := newDialer(order)
		if err != nil {
			return err
		}
		one = &group{dialer: to, idlers: &idlers{}}
		groups[order.Group] = one
	}
	connect := meet
	if order.Lone {
		connect = wait
	}
	added := make([]*pair, order.Count)
	err := together(order.AtOnce, func(index int) error {
		for ; index < order.Count; index += order.AtOnce {
			var err error
			if added[index], err = connect(one.dialer); err != nil {
				return err
			}
		}
		return nil
	})
	for _, each := range added {
		switch {
		case each == nil:
		case order.Idle:
			one.idlers.add(each)
		default:
			one.pairs = append(one.pairs, each)
		}
	}
	return err
}

func (g *group) close() {
	g.idlers.close()
	for _, each := range g.pairs {
		each.abort()
	}
	g.dialer.close()
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}
