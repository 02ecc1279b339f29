using System.Text.Json.Nodes;
using CutoffLen.Runs;

namespace CutoffLen.Reports;

/// <summary>
/// <c>sweep.json</c>: everything that a sweep over methods and cutoffs measured, cell by cell, in the words of
/// <c>ppl.json</c> (see <see cref="PerplexityJson"/>).
/// </summary>
public static class SweepJson
{
    /// <summary>The file's text.</summary>
    public static string Text(SweepReport report) => Of(report).ToJsonString(PerplexityJson.Options) + "\n";

    /// <summary>The same as a tree.</summary>
    public static JsonObject Of(SweepReport report) => new()
    {
        ["program"] = report.Program,
        ["made"] = report.Made.ToString("O"),
        ["model"] = report.Model,
        ["native_length"] = report.NativeLength,
        ["dtype"] = report.Dtype,
        ["settings"] = new JsonObject(report.Settings.Select(s => KeyValuePair.Create(s.Name, (JsonNode?)s.Value))),
        ["protocol"] = PerplexityJson.Protocol(report.Protocol),
        ["lengths"] = PerplexityJson.Array(report.Lengths, length => length),
        ["documents"] = PerplexityJson.Documents(report.Corpus),
        ["findings"] = PerplexityJson.Array([.. SweepFindings.Of(report)], finding => finding),
        ["cells_planned"] = report.Planned,
        ["cells"] = PerplexityJson.Array(report.Cells, Cell),
        ["slopes"] = PerplexityJson.Array(report.Slopes, slope => new JsonObject
        {
            ["rope"] = slope.Rope,
            ["exponent"] = slope.Slope?.Exponent,
            ["exponent_interval"] = PerplexityJson.Interval(slope.Slope?.Interval),
            ["tokens_at_cutoff_1"] = slope.Slope?.AtOne,
            ["limits_fitted"] = slope.Slope?.Points,
            ["limits_beyond_the_sweep"] = slope.Slope?.Open,
        }),
        ["notes"] = PerplexityJson.Array(report.Notes, note => note),
    };

    private static JsonObject Cell(SweepCell cell)
    {
        var json = new JsonObject
        {
            ["rope"] = cell.Rope,
            ["stage"] = cell.IsTuned ? "after" : "before",
            ["cutoff"] = cell.Cutoff,
            ["price_at_native"] = cell.Price is { } price ? PerplexityJson.Differences([price])[0]!.DeepClone() : null,
            ["against_the_checkpoint"] = PerplexityJson.Differences(cell.AgainstItself),
            ["against_before"] = PerplexityJson.Differences(cell.AgainstUntuned),
            ["against_first_method"] = PerplexityJson.Differences(cell.AgainstFirst),
            ["training"] = cell.Cost is { } cost ? Cost(cost) : null,
        };
        foreach (var (name, value) in PerplexityJson.Measured(cell.Measured).Where(part => part.Value is not null))
        {
            json[name] = value!.DeepClone();
        }

        return json;
    }

    private static JsonObject Cost(TrainingCost cost) => new()
    {
        ["steps"] = cost.Steps, ["tokens"] = cost.Tokens, ["seconds"] = cost.Seconds, ["loss"] = cost.Loss,
    };
}
