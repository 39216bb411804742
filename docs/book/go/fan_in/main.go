// A select over as many channels as there are; their number is known only when the program runs.
package main

import (
	"fmt"
	"reflect"
)

func boat(number int) <-chan int {
	out := make(chan int)
	go func() {
		defer close(out)
		for load := range number {
			out <- 10*number + load
		}
	}()
	return out
}

func main() {
	var cases []reflect.SelectCase
	for number := 1; number <= 4; number++ {
		ch := reflect.ValueOf(boat(number))
		cases = append(cases, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: ch})
	}
	tons := make([]int, len(cases))
	for open := len(cases); open > 0; {
		i, value, ok := reflect.Select(cases) // looks at every case, every time
		if !ok {
			cases[i].Chan = reflect.Value{}
			open--
			continue
		}
		tons[i] += int(value.Int())
	}
	for i, tons := range tons {
		fmt.Printf("boat %d: %d\n", i+1, tons)
	}
}
