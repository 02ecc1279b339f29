using System.CommandLine;
using CutoffLen.Checkpoints;
using CutoffLen.Cli.Interaction;
using CutoffLen.Common;
using CutoffLen.Distributed;
using CutoffLen.Evaluation;
using CutoffLen.Files;
using CutoffLen.Hardware;
using CutoffLen.Positions.Methods;
using CutoffLen.Positions.Spec;
using CutoffLen.Runs;

namespace CutoffLen.Cli.Options;

/// <summary>Options that the measuring verbs share; several models and methods may be given.</summary>
internal static class EvaluationOptions
{
    /// <summary>Checkpoints to measure, the first the baseline.</summary>
    public static Option<string[]> Models { get; } = Many("--model", $"{CommonOptions.Model.Description} Give several to compare them.", "DIR", required: true, "-m");

    /// <summary>Position methods to measure each checkpoint under, the first the baseline.</summary>
    public static Option<string[]> Ropes { get; } = Many(
        "--rope", $"{CommonOptions.Rope.Description} Give several to compare them.", "SPEC", required: false);

    /// <summary>Lengths in tokens.</summary>
    public static Option<IReadOnlyList<int>> LengthsOf(string standard) => CommonOptions.Parsed(
        "--lengths", $"Lengths in tokens: 8k, 1k..32k (doubling), 1k..8k:1k (steps), 512,2k,6k; default {standard}.", "LENGTHS", Lengths.Parse(standard), text =>
        {
            var lengths = Lengths.Parse(text);
            return [Predicting(lengths[0]), .. lengths.Skip(1)];
        });

    /// <summary>A length in tokens of which at least one is predicted.</summary>
    /// <exception cref="UserException">It is too short.</exception>
    public static int Predicting(int length) =>
        length >= 2 ? length : throw new UserException("a length of 1 token has nothing to predict; the shortest is 2");

    /// <summary>Tokens of a batch.</summary>
    public static Option<int> BatchTokens { get; } = CommonOptions.Parsed(
        "--batch-tokens", "The most tokens read at once; a longer window goes alone. Default 8k.", "TOKENS", PerplexityEvaluation.StandardBatchTokens, Lengths.ParseOne);

    /// <summary>Folder of the results.</summary>
    public static Option<string> Out { get; } = new("--out", "-o") { Description = "Folder for the results; finished work in it is not redone.", HelpName = "DIR", Required = true };

    /// <summary>The specs given, or auto.</summary>
    public static IReadOnlyList<PositionSpec> Specs(this ParseResult parsed) =>
        parsed.GetValue(Ropes) is { Length: > 0 } given ? [.. given.Select(PositionMethods.Parse)] : [PositionMethods.Auto];

    /// <summary>An option that may be given several times, and with several values.</summary>
    public static Option<string[]> Many(string name, string description, string helpName, bool required, params string[] aliases) => new(name, aliases)
    {
        Description = description,
        HelpName = helpName,
        Required = required,
        Arity = ArgumentArity.OneOrMore,
        AllowMultipleArgumentsPerToken = true,
    };

    /// <summary>What results call the models: the folders' names, or their paths where names repeat.</summary>
    private static string NameOf(ModelFolder model, IReadOnlyList<string> folders) =>
        folders.Count(folder => ModelFolder.NameOf(folder) == model.Name) > 1 ? model.Folder : model.Name;

    /// <summary>The models of <see cref="Models"/> one after another, and what results call them. Each is open until the next one is asked for.</summary>
    public static IEnumerable<(ModelSession Model, string Name)> OpenModels(this ParseResult parsed, DeviceAndDtype compute, CancellationToken stop)
    {
        string[] folders = [.. parsed.GetValue(Models)!.Select(model => parsed.Hub(stop).Model(model))];
        foreach (var folder in folders)
        {
            using var model = ModelSession.Open(folder, compute, parsed.AttentionPath());
            yield return (model, NameOf(model.Folder, folders));
        }
    }

    /// <summary>Opens the log of finished work in the folder of results.</summary>
    public static ResultLog OpenLog(this ParseResult parsed, string folder) => new(Path.Combine(folder, RunFolder.ResultsFile), parsed.Ranks());

    /// <summary>Makes the folder of results.</summary>
    public static string PrepareFolder(this ParseResult parsed) => parsed.PrepareFolder(parsed.GetValue(Out)!);

    /// <summary>Makes a folder of results.</summary>
    public static string PrepareFolder(this ParseResult parsed, string folder)
    {
        parsed.Ranks().OnFirst(() =>
        {
            OutputFolder.Create(folder);
            Logging.AddRunFolder(folder);
        });
        return folder;
    }
}
