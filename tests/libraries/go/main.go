// Sends with Segment's library for Go: see run.py.
package main

import (
	"bufio"
	"fmt"
	"os"
	"time"

	"github.com/segmentio/analytics-go/v3"
)

func main() {
	name := os.Getenv("AUDIENCE_LIBRARY")
	user, anonymous, old := name+"-user", name+"-anonymous", name+"-old"
	delivered := make(waiter, 100)
	client, err := analytics.NewWithConfig("key", analytics.Config{
		Callback:   delivered,
		Endpoint:   os.Getenv("AUDIENCE_ADDRESS"),
		BatchSize:  7,
		Interval:   200 * time.Millisecond,
		RetryAfter: func(attempt int) time.Duration { return 200 * time.Millisecond },
	})
	check(err)
	traits := analytics.Traits{"plan": "pro", "city": "Köln 😀", "address": map[string]any{"zip": "50667"}}
	order := analytics.Properties{
		"total": 12.5,
		"lines": []any{map[string]any{"sku": "a", "n": 2}},
		"at":    time.Date(2026, 1, 2, 3, 4, 5, 678000000, time.UTC),
		"none":  nil,
	}
	check(client.Enqueue(analytics.Track{AnonymousId: anonymous, Event: "viewed"}))
	check(client.Enqueue(analytics.Identify{UserId: user, AnonymousId: anonymous, Traits: traits}))
	check(client.Enqueue(analytics.Page{UserId: user, Name: "Home", Properties: analytics.Properties{"url": "/home"}}))
	check(client.Enqueue(analytics.Screen{UserId: user, Name: "Main"}))
	check(client.Enqueue(analytics.Group{UserId: user, GroupId: "g1", Traits: analytics.Traits{"size": 3}}))
	check(client.Enqueue(analytics.Track{AnonymousId: old, Event: "before"}))
	check(client.Enqueue(analytics.Alias{PreviousId: old, UserId: user}))
	check(client.Enqueue(analytics.Track{UserId: user, Event: "order", Properties: order}))
	delivered.wait(8)
	fmt.Println("sent")
	_, err = bufio.NewReader(os.Stdin).ReadString('\n')
	check(err)
	for n := 1; n <= 60; n++ {
		check(client.Enqueue(analytics.Track{UserId: user, Event: "tick", Properties: analytics.Properties{"n": n}}))
	}
	// At its end the library tries nothing again.
	delivered.wait(60)
	check(client.Close())
}

// waiter counts what was delivered.
type waiter chan struct{}

func (w waiter) Success(analytics.Message) { w <- struct{}{} }

func (w waiter) Failure(message analytics.Message, err error) { panic(err) }

func (w waiter) wait(messages int) {
	for ; messages > 0; messages-- {
		<-w
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
