// A select that does not wait, one that waits for a while, and one that gets something.
package main

import (
	"fmt"
	"time"
)

func main() {
	news := make(chan string)

	select {
	case line := <-news:
		fmt.Println(line)
	default:
		fmt.Println("nothing yet")
	}

	select {
	case line := <-news:
		fmt.Println(line)
	case <-time.After(10 * time.Millisecond):
		fmt.Println("still nothing")
	}

	go func() { news <- "the lock is open" }()
	select {
	case line := <-news:
		fmt.Println(line)
	case <-time.After(time.Minute):
		fmt.Println("gave up")
	}
}
