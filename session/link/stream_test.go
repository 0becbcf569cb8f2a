package link

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
)

// tcpPair is two ends of a loopback connection.
func tcpPair(t testing.TB) (*net.TCPConn, *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	a, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a.(*net.TCPConn), b.(*net.TCPConn)
}

func TestPipeKeepsHalfCloses(t *testing.T) {
	left, a := tcpPair(t)
	b, right := tcpPair(t)
	done := make(chan error, 1)
	go func() { done <- Pipe(t.Context(), a, b) }()
	request := strings.Repeat("request ", 50_000)
	go func() {
		_, _ = io.WriteString(left, request)
		_ = left.CloseWrite()
	}()
	got, err := io.ReadAll(right)
	if err != nil || string(got) != request {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if _, err := io.WriteString(right, "answer after the request's end"); err != nil {
		t.Fatal(err)
	}
	right.Close()
	if got, err := io.ReadAll(left); err != nil || string(got) != "answer after the request's end" {
		t.Errorf("%q, %v", got, err)
	}
	if err := <-done; err != nil {
		t.Errorf("Pipe says %v", err)
	}
	if _, err := a.Write([]byte{1}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a is still open: %v", err)
	}
}

func TestPipeEndsWithItsContextAndWithErrors(t *testing.T) {
	_, a := tcpPair(t)
	b, _ := tcpPair(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Pipe(ctx, a, b) }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Pipe says %v", err)
	}

	left, a := tcpPair(t)
	b, right := tcpPair(t)
	go func() { done <- Pipe(t.Context(), a, b) }()
	_ = left.SetLinger(0)
	left.Close() // a reset
	if err := <-done; err == nil {
		t.Error("a reset passed for an end")
	}
	if _, err := right.Read(make([]byte, 1)); err == nil {
		t.Error("the other side is still open")
	}
}

func TestPipeWithASideThatCannotHalfClose(t *testing.T) {
	ours, a := net.Pipe()
	b, right := tcpPair(t)
	done := make(chan error, 1)
	go func() { done <- Pipe(t.Context(), a, b) }()
	right.Close()
	if _, err := io.ReadAll(ours); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Errorf("Pipe says %v", err)
	}
}
