// Contexts: what a look costs, and what it costs to end many at once.
package main

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

func check(place string, ops int) report {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	switch place {
	case "child":
		child, end := context.WithCancel(ctx)
		defer end()
		ctx = child
	case "deadline":
		child, end := context.WithTimeout(ctx, time.Hour)
		defer end()
		ctx = child
	}
	start := time.Now()
	for range ops {
		if ctx.Err() != nil {
			return wrong("nobody has ended it")
		}
	}
	return perOp(start, ops)
}

func cancelling(waiters string, ops int) report {
	root, end := context.WithCancel(context.Background())
	children := make([]context.Context, ops)
	ends := make([]context.CancelFunc, ops)
	for i := range children {
		children[i], ends[i] = context.WithCancel(root)
	}
	var parked atomic.Int64
	var all sync.WaitGroup
	if waiters == "tasks" {
		all.Add(ops)
		for _, child := range children {
			go func() {
				parked.Add(1)
				<-child.Done()
				all.Done()
			}()
		}
		for parked.Load() < int64(ops) {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(20 * time.Millisecond)
	}
	start := time.Now()
	end()
	all.Wait()
	result := perOp(start, ops)
	for _, child := range children {
		if child.Err() == nil {
			return wrong("a child has not ended with its parent")
		}
	}
	runtime.KeepAlive(ends)
	return result
}
