// A panic in a goroutine ends the whole program, unless that very goroutine recovers.
package main

import (
	"context"
	"fmt"
)

func guarded(name string, failures chan<- error, f func()) {
	defer func() { // must be in every goroutine; whoever starts one without it gambles
		if p := recover(); p != nil {
			failures <- fmt.Errorf("%s panicked: %v", name, p)
		}
	}()
	f()
}

func main() {
	ctx, cancel := context.WithCancelCause(context.Background())
	failures := make(chan error)
	told := make(chan bool)

	go guarded("pilot", failures, func() {
		panic("the map is upside down")
	})
	go guarded("cook", failures, func() {
		<-ctx.Done()
		told <- true
	})

	err := <-failures
	cancel(err)
	fmt.Println("the cook was told:", <-told)
	fmt.Println(err)
}
