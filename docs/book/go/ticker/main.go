// A ticker beside a channel: three ticks, then enough.
package main

import (
	"fmt"
	"time"
)

func main() {
	ticks := time.NewTicker(5 * time.Millisecond)
	enough := make(chan bool, 1)

	for n := 1; ; n++ {
		select {
		case <-ticks.C:
			fmt.Println("tick", n)
			if n == 3 {
				ticks.Stop() // leaves its channel open: a range over it would hang here
				enough <- true
			}
		case <-enough:
			fmt.Println("enough")
			return
		}
	}
}
