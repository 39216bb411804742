// A buffered channel, closed by its sender and read to the end.
package main

import "fmt"

const board = 2 // as many orders as fit on the board

func main() {
	orders := make(chan string, board)

	go func() {
		defer close(orders) // without this line the loop below never ends
		for _, dish := range []string{"soup", "fish", "cake"} {
			orders <- dish
		}
	}()

	for dish := range orders {
		fmt.Println("cooking", dish)
	}
	_, open := <-orders
	fmt.Println("still open:", open)
}
