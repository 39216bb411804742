// Three workers share the jobs; a fourth goroutine closes the results when all three are done.
package main

import (
	"fmt"
	"sync"
)

func main() {
	jobs := make(chan int)
	results := make(chan int)

	var workers sync.WaitGroup
	for range 3 {
		workers.Go(func() {
			for n := range jobs {
				results <- n * n
			}
		})
	}
	go func() { // if this ran before the first Go, or closed too early: panic
		workers.Wait()
		close(results)
	}()
	go func() {
		defer close(jobs)
		for n := 1; n <= 10; n++ {
			jobs <- n
		}
	}()

	sum := 0
	for square := range results {
		sum += square
	}
	fmt.Println("sum of squares:", sum)
}
