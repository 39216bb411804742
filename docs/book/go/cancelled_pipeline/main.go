// A pipeline whose last stage has enough early. Every stage must watch the context, or it stays for ever.
package main

import (
	"context"
	"fmt"
	"sync"
)

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var stages sync.WaitGroup
	numbers, squares := make(chan int), make(chan int)

	stages.Go(func() {
		for n := 1; ; n++ {
			select {
			case numbers <- n:
			case <-ctx.Done(): // without these two lines: a leak
				return
			}
		}
	})
	stages.Go(func() {
		for {
			select {
			case n := <-numbers:
				select {
				case squares <- n * n:
				case <-ctx.Done(): // and once more
					return
				}
			case <-ctx.Done():
				return
			}
		}
	})

	for range 3 {
		fmt.Println(<-squares)
	}
	cancel()
	stages.Wait()
	fmt.Println("all stages have ended")
}
