// Every browser test, in one process and one browser, one after another.
import "./shaders.test.mjs";
import "./inspect.test.mjs";
import "./link.test.mjs";
import "./report.test.mjs";
import "./yields.test.mjs";
import "./formats.test.mjs";
import "./recorded.test.mjs";
import "./compare.test.mjs";
import "./url.test.mjs";
import "./hub.test.mjs";
import "./drop.test.mjs";
import "./offline.test.mjs";
import "./reading.test.mjs";
import "./measure.test.mjs";
import "./tokenize.test.mjs";
import "./perplexity.test.mjs";
