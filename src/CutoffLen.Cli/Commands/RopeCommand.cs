using System.CommandLine;
using CutoffLen.Checkpoints;
using CutoffLen.Cli.Interaction;
using CutoffLen.Cli.Options;
using CutoffLen.Common;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using CutoffLen.Positions.Spec;
using CutoffLen.Positions.Theory;
using Spectre.Console;

namespace CutoffLen.Cli.Commands;

/// <summary><c>cutoff rope list</c>, <c>show</c>, <c>search</c> and <c>pairs</c>: the position methods, what one of them computes, factors and pairs for a model.</summary>
internal static class RopeCommand
{
    // Tables of longer rows would fill memory just to be summed up.
    private const int LongestRow = 1 << 18;

    private const int PlotColumns = 64;
    private const int PlotRows = 32;

    private static readonly Argument<string> Spec = new("SPEC") { Description = "METHOD[:key=value,...][+MODIFIER[:...]][@LAYERS=SPEC...]; see 'cutoff rope list'." };
    private static readonly Option<string?> Model = new("--model", "-m")
    {
        Description = "Checkpoint whose heads, base, native length and order of pairs (dpe's topk) count; 'auto' is its own method.",
        HelpName = "DIR",
    };

    private static readonly Option<int> HeadDim = CommonOptions.Whole("--head-dim", "Dimension of a head.", 4, 4096, 128);
    private static readonly Option<int> Heads = CommonOptions.Whole("--heads", "Heads, for methods that tell them apart.", 1, 4096, 32);
    private static readonly Option<double> Base = CommonOptions.Parsed("--base", "The model's rope_theta.", "BASE", 10_000.0, text =>
        double.TryParse(text, out var number) && number is >= 2 and <= 1e12 ? number : throw new UserException($"'{text}' is not a number from 2 to 1e12"));

    private static readonly Option<int> Original = CommonOptions.Parsed("--original", "Length the model was trained at.", "TOKENS", 4096, Lengths.ParseOne);
    private static readonly Option<int?> Length = CommonOptions.Parsed<int?>("--length", "Length to look at, and the target of a missing factor; the original one, or the model's, when not given.", "TOKENS", null, text =>
        Lengths.ParseOne(text) is var length && length <= LongestRow ? length : throw new UserException($"'{text}' is more than {Lengths.Format(LongestRow)} tokens, the longest that is shown"));

    /// <summary>The command with its four verbs.</summary>
    public static Command Create() => new("rope", "List the position methods, show what one of them computes, or search factors or pairs for a model.")
    {
        new Command("list", "Every method and modifier with its keys.") { CommonOptions.Json }.Runs((parsed, _) => List(parsed)),
        new Command("show", "Exact frequencies, bands and theory of one method.")
        {
            Spec, Model, HeadDim, Heads, Base, Original, Length, CommonOptions.Json,
        }
        .Runs(Show),
        RopeSearchCommand.Create(),
        RopePairsCommand.Create(),
    };

    private static void List(ParseResult parsed)
    {
        if (parsed.GetValue(CommonOptions.Json))
        {
            parsed.Terminal().PrintJson(new
            {
                Methods = PositionMethods.All.Select(Described),
                Modifiers = PositionMethods.Modifiers.Select(Described),
                Presets = PositionMethods.Presets.Select(preset => new { preset.Name, preset.Summary, preset.Paper, preset.Spec }),
            });
            return;
        }

        var grid = new Grid().AddColumn(new GridColumn().NoWrap()).AddColumn();
        foreach (var entry in PositionMethods.All.Concat<SpecEntry>(PositionMethods.Modifiers).Concat(PositionMethods.Presets))
        {
            var names = string.Join(", ", entry.Aliases.Prepend(entry.Name));
            grid.AddRow(new Text(entry is ModifierEntry ? $"+{names}" : names), new Text(string.Join('\n', LinesOf(entry))));
        }

        parsed.Terminal().Print(grid);
    }

    private static IEnumerable<string> LinesOf(SpecEntry entry)
    {
        var source = entry.Paper.StartsWith("http", StringComparison.Ordinal) ? entry.Paper : $"arXiv {entry.Paper}";
        yield return $"{entry.Summary} {source}{(entry.DependsOnLength ? "; depends on the length" : "")}{(entry.AltersAttention ? "; alters attention" : "")}";
        if (entry is PresetEntry preset)
        {
            yield return preset.Spec;
        }

        if (entry.Keys.Count > 0)
        {
            yield return string.Join(", ", entry.Keys.Select(key => $"{key.Name} ({key.DefaultText})"));
        }
    }

    private static object Described(SpecEntry entry) => new
    {
        entry.Name,
        entry.Aliases,
        entry.Summary,
        entry.Paper,
        entry.DependsOnLength,
        entry.AltersAttention,
        Keys = entry.Keys.Select(key => new { key.Name, Default = key.Default is { } value ? SpecKey.Text(value) : null, key.DefaultText, key.Allowed, key.IsRequired, key.Meaning }),
        Exceptions = entry.Exceptions.Select(exception => new { Theory = exception.Key.ToString(), Reason = exception.Value }),
    };

    private static void Show(ParseResult parsed, CancellationToken stop)
    {
        var (config, heads) = (ConfigOf(parsed, stop), parsed.GetValue(Heads));
        // The windows of layers are the checkpoint's, not the method's.
        var model = config is null ? new PositionModel(parsed.GetValue(HeadDim), parsed.GetValue(Base), parsed.GetValue(Original), heads, heads) : config.Positions with { Windows = null };
        var length = parsed.GetValue(Length) ?? Math.Min(config?.MaxPositionEmbeddings ?? model.NativeLength, LongestRow);
        var spec = PositionMethods.Parse(parsed.GetValue(Spec)!);
        spec = config?.SetupFor(spec, length).Spec ?? spec;
        var reports = spec.Layers.Select(layers => new LayerReport($"{layers.Layers}", ReportOf(layers.Spec))).Prepend(new LayerReport(null, ReportOf(spec.WithoutLayers()))).ToList();
        if (parsed.GetValue(CommonOptions.Json))
        {
            parsed.Terminal().PrintJson(reports is [var only] ? (object)only.Report : reports);
            return;
        }

        foreach (var (layers, report) in reports)
        {
            if (reports.Count > 1)
            {
                parsed.Terminal().Output.WriteLine(layers is null ? "other layers:" : $"layers {layers}:");
            }

            Print(report, model, parsed.Terminal().Output);
        }

        RopeReport ReportOf(PositionSpec part) => RopeReport.Of(new PositionSetup(part, model, length));
    }

    /// <summary>What --model names; null where it is not given.</summary>
    private static LlamaConfig? ConfigOf(ParseResult parsed, CancellationToken stop)
    {
        if (parsed.GetValue(Model) is not { } name)
        {
            return null;
        }

        if (new Option[] { HeadDim, Heads, Base, Original }.FirstOrDefault(option => parsed.GetResult(option) is { Implicit: false }) is { } given)
        {
            throw new UserException($"{given.Name}: --model has it; give one of them");
        }

        var folder = parsed.Hub(stop).Model(name, weights: false);
        if (HuggingFaceCheckpoint.IsConfigurationAlone(folder))
        {
            return HuggingFaceCheckpoint.ReadConfig(folder, out _);
        }

        using var opened = ModelFolder.Open(folder);
        return opened.Config;
    }

    /// <summary>The method of some layers; null for the layers that have no other one.</summary>
    private sealed record LayerReport(string? Layers, RopeReport Report);

    private static void Print(RopeReport report, PositionModel model, TextWriter output)
    {
        output.WriteLine($"{report.Spec}   head dimension {model.HeadDim}, base {SpecKey.Text(model.Base)}, native {model.NativeLength} tokens, seen at {report.Length}");
        output.WriteLine($"hash {report.Hash}{(report.DiffersFromVanilla ? "" : ", the same as vanilla RoPE here")}; attention scale {report.AttentionScale:0.######}");
        foreach (var band in report.Bands)
        {
            output.WriteLine($"band: queries {band.Queries}, keys {band.Keys}, distances {band.Nearest} to {band.Farthest}, {band.Pairs} pairs{(band.Slopes is null ? "" : ", biased by distance")}");
        }

        if (report.Theory is { } theory)
        {
            output.WriteLine($"critical dimension {theory.CriticalDimension} of {model.HeadDim}; extrapolation bound {(double.IsFinite(theory.ExtrapolationBound) ? $"{theory.ExtrapolationBound:0} tokens" : "none")} (arXiv 2310.05209)");
            output.WriteLine($"least base for {report.Length} tokens {theory.LeastBase:0} (arXiv 2405.14591); {100 * theory.ShareWithoutFullTurn:0}% of the pairs never turn once in {model.NativeLength} tokens");
            if (theory.ScalingLaw is { } law)
            {
                output.WriteLine($"base {SpecKey.Text(law.Base)} fine-tuned at {law.TuningLength} tokens: bound {(law.IsLowerBound ? ">= " : "")}{law.Bound:0}, critical dimension {law.TunedCriticalDimension}; critical base {law.CriticalBase:0}, small bases {string.Join(", ", law.SmallBases.Select(small => $"{small:0}"))} (arXiv 2310.05209)");
            }

            output.WriteLine($"disturbance of the rotary angles {1000 * theory.AngleDisturbance.Mean:0.00} x 1e-3 nats (arXiv 2410.01490)");
            Plot(report, model, output);
        }
    }

    /// <summary>
    /// The wavelengths of a method's pairs on a logarithmic axis of tokens: <c>●</c> the method's, <c>·</c> vanilla RoPE's where it
    /// is elsewhere, <c>│</c> the native length. Pairs to the right of the line never turn once in it.
    /// </summary>
    private static void Plot(RopeReport report, PositionModel model, TextWriter output)
    {
        var vanilla = RopeTheory.Wavelengths(new Frequencies(model.InverseFrequencies()));
        var least = report.Wavelengths.Concat(vanilla).Min();
        var most = report.Wavelengths.Concat(vanilla).Append(model.NativeLength * 2.0).Where(double.IsFinite).Max();
        var every = (report.Wavelengths.Count + PlotRows - 1) / PlotRows;
        output.WriteLine($"{"pair",5} {"wavelength",12}  tokens from {least:0} to {most:0}, │ at {model.NativeLength}");
        for (var pair = 0; pair < report.Wavelengths.Count; pair += every)
        {
            var line = new string(' ', PlotColumns).ToCharArray();
            line[ColumnOf(model.NativeLength, least, most)] = '│';
            line[ColumnOf(vanilla[pair], least, most)] = '·';
            line[ColumnOf(report.Wavelengths[pair], least, most)] = '●';
            var wavelength = double.IsFinite(report.Wavelengths[pair]) ? $"{report.Wavelengths[pair]:0.0}" : "never";
            output.WriteLine($"{pair,5} {wavelength,12}  {new string(line).TrimEnd()}");
        }
    }

    private static int ColumnOf(double wavelength, double least, double most) =>
        (int)Math.Clamp(Math.Round((PlotColumns - 1) * Math.Log(wavelength / least) / Math.Log(most / least)), 0, PlotColumns - 1);
}
