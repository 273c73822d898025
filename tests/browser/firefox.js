// Firefox as it is installed, where there is one: Debian's firefox-esr will do.

import { existsSync } from "node:fs";
import puppeteer from "puppeteer-core";
import { Skipped, after, temporaryFolder } from "./harness.js";

const PLACES = [process.env.FIREFOX, "/usr/bin/firefox-esr", "/usr/bin/firefox"];

/** A browser with a new, empty profile, as a function that opens tabs. It ends with the test. */
export async function openFirefox() {
  const executablePath = PLACES.find((place) => place && existsSync(place));
  if (!executablePath) throw new Skipped("no Firefox: install firefox-esr, or set FIREFOX");
  const userDataDir = temporaryFolder();
  const firefox = await puppeteer.launch({
    browser: "firefox",
    executablePath,
    userDataDir,
    headless: true,
    acceptInsecureCerts: true,
    // No network traffic of its own.
    extraPrefsFirefox: {
      "app.normandy.enabled": false,
      "app.update.enabled": false,
      "browser.safebrowsing.malware.enabled": false,
      "browser.safebrowsing.phishing.enabled": false,
      "datareporting.healthreport.uploadEnabled": false,
      "extensions.systemAddon.update.enabled": false,
      "network.captive-portal-service.enabled": false,
      "network.connectivity-service.enabled": false,
      "services.settings.server": "data:,",
      "toolkit.telemetry.enabled": false,
    },
  });
  after(() => firefox.close());
  return async (address) => {
    const page = await firefox.newPage();
    await page.goto(address);
    return page;
  };
}
