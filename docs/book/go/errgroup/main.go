// golang.org/x/sync/errgroup in short (these programs use the standard library alone), and what it drops.
package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

type group struct {
	sync.WaitGroup
	mu             sync.Mutex
	cancel         context.CancelCauseFunc
	first, dropped error
}

func (g *group) run(f func() error) {
	g.Go(func() {
		if err := f(); err != nil {
			g.mu.Lock()
			defer g.mu.Unlock()
			if g.first == nil {
				g.first = err
				g.cancel(err)
			} else {
				g.dropped = err // the real one forgets it; kept here to have something to print
			}
		}
	})
}

func main() {
	ctx, cancel := context.WithCancelCause(context.Background())
	g := &group{cancel: cancel}
	g.run(func() error { return errors.New("the disk is full") })
	g.run(func() error {
		<-ctx.Done()
		return errors.New("half a page is lost")
	})
	g.Wait()
	fmt.Printf("first: %v\nlater: %v\n", g.first, g.dropped)
}
