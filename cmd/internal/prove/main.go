package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "prove:", err)
		stop()
		os.Exit(1)
	}
}

var errUsage = errors.New("say attacks, fuzz or hours; -h with one of them tells what it takes")

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errUsage
	}
	flags := flag.NewFlagSet(args[0], flag.ExitOnError)
	seconds := flags.Int("seconds", 0, "of attacks: fuzz the parsers in what is left of so many seconds")
	each := flags.Duration("time", 20*time.Second, "of fuzz: for each target")
	only := flags.String("only", "", "of fuzz: the targets whose package or name contains this")
	_ = flags.Parse(args[1:])
	switch args[0] {
	case "attacks":
		return withstand(ctx, time.Duration(*seconds)*time.Second)
	case "fuzz":
		targets, err := find(os.DirFS("."), *only)
		if err != nil {
			return err
		}
		return fuzzAll(ctx, targets, *each)
	case "hours":
		return hours(ctx)
	}
	return errUsage
}
