using System.Text.Json.Nodes;
using CutoffLen.Files;
using CutoffLen.Reports.Html;

namespace CutoffLen.Reports;

/// <summary>Passkey retrieval as it is reported.</summary>
/// <param name="Made">When.</param>
/// <param name="Program">Name and version of this program.</param>
/// <param name="Dtype">Number format of the models.</param>
/// <param name="Settings">Command, device, seed, ...</param>
/// <param name="Measured">Models and methods, each with its passkey result.</param>
public sealed record PasskeyReport(
    DateTimeOffset Made, string Program, string Dtype, IReadOnlyList<Setting> Settings, IReadOnlyList<MeasuredMethod> Measured)
{
    /// <summary>What to call a result; see <see cref="PerplexityReport.LabelOf(string, string)"/>.</summary>
    public string LabelOf(MeasuredMethod measured) => AsPerplexity().LabelOf(measured);

    /// <summary><c>passkey.json</c>: settings, and for each model and method its cells and k_max.</summary>
    public JsonObject ToJson() => new()
    {
        ["program"] = Program,
        ["made"] = Made.ToString("O"),
        ["dtype"] = Dtype,
        ["settings"] = new JsonObject(Settings.Select(s => KeyValuePair.Create(s.Name, (JsonNode?)s.Value))),
        ["results"] = new JsonArray([.. Measured.Select(m => new JsonObject
        {
            ["model"] = m.Model,
            ["method"] = m.Method,
            ["native_length"] = m.NativeLength,
            ["proof"] = PerplexityJson.Proof(m.Proof),
            ["passkey"] = PerplexityJson.Passkey(m.Passkey!),
        })]),
    };

    /// <summary>Writes <c>passkey.json</c> and <c>passkey.html</c>.</summary>
    public void Write(string folder)
    {
        AtomicFile.WriteText(Path.Combine(folder, "passkey.json"), ToJson().ToJsonString(PerplexityJson.Options) + "\n");
        AtomicFile.WriteText(Path.Combine(folder, "passkey.html"), PerplexityPage.OfPasskey(AsPerplexity()));
    }

    private PerplexityReport AsPerplexity() => new(Made, Program, Dtype, Settings, [], [], new Corpus([], 0, 0, 0, 0), Measured, [], []);
}
