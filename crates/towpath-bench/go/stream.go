// Throughput, round trips, spawn and join, and parked goroutines.
package main

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

type p8 [1]uint64

type p256 [32]uint64

// payload is a message: its number stands in the first word and in the last.
type payload interface{ p8 | p256 }

func message[T payload](seq uint64) T {
	var msg T
	msg[0] = seq
	msg[len(msg)-1] = seq
	return msg
}

func seqOf[T payload](msg T) uint64 {
	if msg[0] == msg[len(msg)-1] {
		return msg[0]
	}
	return ^uint64(0)
}

type tally struct{ count, sum uint64 }

func stream[T payload](shape string, capacity, ops int) report {
	senders, receivers := 1, 1
	switch shape {
	case "mpsc":
		senders = 4
	case "mpmc":
		senders, receivers = 4, 4
	}
	ch := make(chan T, capacity)
	tallies := make([]tally, receivers)
	each := ops / senders
	var sending, receiving sync.WaitGroup
	start := time.Now()
	for i := range receivers {
		receiving.Add(1)
		go func() {
			defer receiving.Done()
			var got tally
			for msg := range ch {
				got.count++
				got.sum += seqOf(msg)
			}
			tallies[i] = got
		}()
	}
	for i := range senders {
		sending.Add(1)
		go func() {
			defer sending.Done()
			for seq := i*each + 1; seq <= (i+1)*each; seq++ {
				ch <- message[T](uint64(seq))
			}
		}()
	}
	sending.Wait()
	close(ch)
	receiving.Wait()
	result := perOp(start, ops)
	var got tally
	for _, t := range tallies {
		got.count += t.count
		got.sum += t.sum
	}
	return checked(got, ops, result)
}

// checked passes the result on when exactly the messages 1 to ops have arrived.
func checked(got tally, ops int, result report) report {
	n := uint64(ops)
	want := tally{n, n * (n + 1) / 2}
	if got != want {
		return wrong("received %v, sent %v", got, want)
	}
	return result
}

func ping(capacity, ops int) report {
	there, back := make(chan p8, capacity), make(chan p8, capacity)
	done := make(chan tally)
	start := time.Now()
	go func() {
		for msg := range there {
			back <- msg
		}
	}()
	go func() {
		var got tally
		for seq := range uint64(ops) {
			there <- message[p8](seq + 1)
			msg := <-back
			got.count++
			got.sum += seqOf(msg)
		}
		close(there)
		done <- got
	}()
	got := <-done
	return checked(got, ops, perOp(start, ops))
}

func spawn(ops int) report {
	results := make([]uint64, ops)
	var all sync.WaitGroup
	start := time.Now()
	all.Add(ops)
	for i := range ops {
		go func() {
			results[i] = uint64(i) + 1
			all.Done()
		}()
	}
	all.Wait()
	var got tally
	for _, seq := range results {
		got.count++
		got.sum += seq
	}
	return checked(got, ops, perOp(start, ops))
}

func idle(wait string, tasks int) report {
	var parked atomic.Int64
	shared := make(chan p8, 1)
	kept := make([]chan p8, tasks)
	runtime.GC()
	before := residentBytes()
	for i := range tasks {
		ch := shared
		switch wait {
		case "own":
			ch = make(chan p8, 1)
			kept[i] = ch
		case "pending":
			ch = nil // a receive from no channel waits for ever
		}
		go func() {
			parked.Add(1)
			<-ch
		}()
	}
	for parked.Load() < int64(tasks) {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(20 * time.Millisecond)
	bytes := residentBytes() - before
	runtime.KeepAlive(kept)
	return measured(float64(bytes) / float64(tasks))
}

func residentBytes() int {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		panic(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	if err != nil {
		panic(err)
	}
	return pages * os.Getpagesize()
}
