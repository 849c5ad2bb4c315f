"""Where Twilio and people come in: callbacks, media streams, permalinks. For `cli` alone."""
