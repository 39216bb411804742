// An unbuffered channel hands over: a send returns when the value is in other hands.
package main

import "fmt"

func main() {
	baton := make(chan string)
	done := make(chan string)

	go func() {
		baton <- "the baton" // waits for the second runner
		done <- "the first runner may rest"
	}()

	fmt.Println("taken:", <-baton)
	fmt.Println("told:", <-done)
}
