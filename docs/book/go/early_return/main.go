// The first answer is enough, and we return. What of the goroutine that is still at it?
package main

import (
	"fmt"
	"runtime"
)

func ask(harbours []string, slow <-chan struct{}) string {
	// With make(chan string) the slower one would wait in its send for ever: nobody receives any more.
	answers := make(chan string, len(harbours))
	for i, harbour := range harbours {
		go func() {
			if i > 0 {
				<-slow // not even asked whether anybody still wants to know
			}
			answers <- harbour
		}()
	}
	return <-answers
}

func main() {
	slow := make(chan struct{})
	fmt.Println("first:", ask([]string{"north", "south"}, slow))
	close(slow) // only since we know of it; without this line: a leak
	for runtime.NumGoroutine() > 1 {
		runtime.Gosched()
	}
	fmt.Println("left behind: 0")
}
