// Two requests at once, then one each 10 ms: tokens in a buffered channel, and a ticker that adds them.
package main

import (
	"fmt"
	"time"
)

const burst = 2 // tokens that can be saved

func main() {
	tokens := make(chan struct{}, burst)
	for range burst {
		tokens <- struct{}{}
	}
	refill := time.NewTicker(10 * time.Millisecond)
	defer refill.Stop()
	go func() { // nobody ends this goroutine: Stop does not close refill.C
		for range refill.C {
			select {
			case tokens <- struct{}{}:
			default: // enough saved
			}
		}
	}()

	start := time.Now()
	for request := 1; request <= 5; request++ {
		<-tokens
		fmt.Println("request", request)
	}
	fmt.Println("took 20 ms or more:", time.Since(start) >= 20*time.Millisecond)
}
