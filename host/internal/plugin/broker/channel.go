package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

// Bounds of one generation. A plugin that asks for more gets an error at once, and one that does not read its answers is
// read no more.
const (
	maxDials   = 64   // under way, each with a goroutine and a descriptor
	maxWaiting = 1024 // behind them
	maxText    = 512  // bytes of an answer
)

const refusedWord = "refused: "

// channel is the host's end of one generation's socket pair.
type channel struct {
	broker *Broker
	broken func(error) // told of what the plugin did to end it
	conn   *net.UnixConn
	ctx    context.Context // ends with the channel
	cancel context.CancelFunc
	done   chan struct{} // closed when nothing is left of it

	once    sync.Once // for broken
	work    sync.WaitGroup
	mu      sync.Mutex
	active  int
	waiting []request
}

func newChannel(b *Broker, conn *net.UnixConn, broken func(error)) *channel {
	ctx, cancel := context.WithCancel(context.Background())
	return &channel{broker: b, broken: broken, conn: conn, ctx: ctx, cancel: cancel, done: make(chan struct{})}
}

// breach tells, the first time, that the plugin broke the rules.
func (c *channel) breach(err error) {
	c.once.Do(func() { c.broken(err) })
}

// stop ends the channel and waits for its end.
func (c *channel) stop() {
	c.end()
	<-c.done
}

// end makes everything that the channel does return soon.
func (c *channel) end() {
	c.cancel()
	_ = c.conn.Close()
}

// serve reads requests until the channel ends, and returns when all of them are done with.
func (c *channel) serve() {
	defer c.work.Wait()
	defer c.end()
	buf := make([]byte, maxRequest+1)
	for {
		n, err := c.conn.Read(buf)
		if err != nil {
			return // one of the ends is closed
		}
		r, err := parse(buf[:n])
		if err != nil {
			c.breach(err)
			return
		}
		r.deadline = time.Now().Add(c.broker.timeout)
		if !c.take(r) {
			c.answer(r, "too many connections are being made at once")
		}
	}
}

// take has a request served, now or when another is done. It reports false when too many wait.
func (c *channel) take(r request) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.active < maxDials:
		c.active++
		c.work.Go(func() {
			for ok := true; ok; r, ok = c.next() {
				c.connect(r)
			}
		})
	case len(c.waiting) < maxWaiting:
		c.waiting = append(c.waiting, r)
	default:
		return false
	}
	return true
}

// next gives a request that waited; with none, its caller is no longer active.
func (c *channel) next() (request, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting) == 0 || c.ctx.Err() != nil {
		c.active--
		return request{}, false
	}
	r := c.waiting[0]
	c.waiting = c.waiting[1:]
	return r, true
}

// connect serves one request.
func (c *channel) connect(r request) {
	ctx, cancel := context.WithDeadline(c.ctx, r.deadline)
	defer cancel()
	conn, err := c.broker.open(ctx, r.endpoint)
	if err != nil {
		c.fail(r, err)
		return
	}
	defer conn.Close()
	c.broker.dials.Add(1)
	_ = c.conn.SetWriteDeadline(time.Now().Add(c.broker.timeout))
	if err := hand(c.conn, r.id[:], conn); err != nil {
		c.answer(r, "the connection could not be handed over: "+err.Error())
	}
}

// fail answers why there is no connection.
func (c *channel) fail(r request, err error) {
	if c.ctx.Err() != nil {
		return // nobody hears it
	}
	var refusal *Refusal
	if errors.As(err, &refusal) {
		c.broker.refuse(refusal)
		c.answer(r, refusedWord+refusal.Reason)
		return
	}
	c.answer(r, failure(err))
}

// answer sends a text. A plugin that does not take it loses its channel.
func (c *channel) answer(r request, text string) {
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "?")), " ")
	text = strings.ToValidUTF8(text[:min(len(text), maxText)], "")
	_ = c.conn.SetWriteDeadline(time.Now().Add(c.broker.timeout))
	if _, err := c.conn.Write(append(r.id[:], text...)); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			c.breach(fmt.Errorf("it did not read an answer within %v", c.broker.timeout))
		}
		c.end()
	}
}
