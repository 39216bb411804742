// Two inputs until both have ended: an input that has ended becomes nil, and its case is never ready again.
package main

import "fmt"

func boat(loads ...int) <-chan int {
	out := make(chan int)
	go func() {
		defer close(out)
		for _, tons := range loads {
			out <- tons
		}
	}()
	return out
}

func main() {
	left, right := boat(1, 2, 3), boat(10, 20)
	total := 0
	for left != nil || right != nil { // without this condition: blocked for ever
		select {
		case tons, ok := <-left:
			if !ok {
				left = nil // without this line the loop spins
				continue
			}
			total += tons
		case tons, ok := <-right:
			if !ok {
				right = nil
				continue
			}
			total += tons
		}
	}
	fmt.Println("unloaded:", total)
}
