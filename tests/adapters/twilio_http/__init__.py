"""Tests of the Twilio adapter, over real HTTP."""
