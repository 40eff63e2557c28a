package main

import (
	"bytes"
	"context"
	_ "embed" // The pictures.
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media"
	"github.com/pion/webrtc/v4/pkg/media/ivfreader"
)

//go:embed pulse.ivf
var pulse []byte

// send shows the pulse to the peer again and again, from when the peer is connected
// until ctx or the peer connection ends.
func send(ctx context.Context, peer *webrtc.PeerConnection, connected context.Context) error {
	codec := webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8}
	track, err := webrtc.NewTrackLocalStaticSample(codec, "video", "pulse")
	if err != nil {
		return err
	}
	sender, err := peer.AddTrack(track)
	if err != nil {
		return err
	}
	over, end := context.WithCancel(ctx)
	go func() {
		defer end()
		for {
			// The interceptors see the peer's reports only when they are read.
			if _, _, err := sender.ReadRTCP(); err != nil {
				return
			}
		}
	}()
	pictures, duration, err := read(pulse)
	if err != nil {
		end()
		return err
	}
	go func() {
		select {
		case <-connected.Done():
			show(over, track, pictures, duration)
		case <-over.Done():
		}
	}()
	return nil
}

func show(
	ctx context.Context, track *webrtc.TrackLocalStaticSample, pictures [][]byte, duration time.Duration,
) {
	tick := time.NewTicker(duration)
	defer tick.Stop()
	for n := 0; ; n++ {
		sample := media.Sample{Data: pictures[n%len(pictures)], Duration: duration}
		if track.WriteSample(sample) != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// read returns the pictures of a film, and how long each is shown.
func read(film []byte) (pictures [][]byte, duration time.Duration, err error) {
	reader, header, err := ivfreader.NewWith(bytes.NewReader(film))
	if err != nil {
		return nil, 0, err
	}
	for {
		picture, _, err := reader.ParseNextFrame()
		switch {
		case err == io.EOF:
			ticks, second := header.TimebaseNumerator, header.TimebaseDenominator
			return pictures, time.Second * time.Duration(ticks) / time.Duration(second), nil
		case err != nil:
			return nil, 0, err
		}
		pictures = append(pictures, picture)
	}
}

// counter counts the pictures received, and calls enough after the wanted number.
type counter struct {
	received atomic.Int64
	wanted   int64
	enough   func()
}

func (c *counter) count(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
	if track.Kind() != webrtc.RTPCodecTypeVideo {
		return
	}
	for {
		packet, _, err := track.ReadRTP()
		if err != nil {
			return
		}
		// The marker is on the last packet of a picture.
		if !packet.Marker {
			continue
		}
		received := c.received.Add(1)
		if received%30 == 0 {
			fmt.Println("frames", received)
		}
		if received == c.wanted {
			c.enough()
		}
	}
}
