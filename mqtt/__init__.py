"""MQTT 5 connections over paho-mqtt, driven by the caller's thread. Only this package knows paho."""
