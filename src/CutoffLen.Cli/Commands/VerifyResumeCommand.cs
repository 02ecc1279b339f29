using System.CommandLine;
using CutoffLen.Cli.Interaction;
using CutoffLen.Cli.Options;
using CutoffLen.Common;
using CutoffLen.Runs;
using Spectre.Console;

namespace CutoffLen.Cli.Commands;

/// <summary><c>cutoff verify-resume</c>: proves on the user's own model, data and machine that resuming is exact.</summary>
internal static class VerifyResumeCommand
{
    private const int StandardSteps = 3;

    /// <summary>The command with its options, which are those of finetune.</summary>
    public static Command Create() => new Command(
        "verify-resume",
        $"Train 2N steps at once, and N steps, saved, loaded anew, and N more, and compare every bit; N is --steps, {StandardSteps} if not given. "
        + "Takes the options of finetune; --out keeps the two runs.")
        {
            CommonOptions.Json,
        }
        .WithTrainingOptions()
        .RunsOnEveryRank((parsed, stop) =>
        {
            var config = parsed.Hub(stop).Localized(parsed.ResolveTraining());
            var half = config.Training.MaxSteps ?? StandardSteps;
            Show(parsed, half, VerifyResume.Run(config, half, new RunDisplay(parsed.Terminal()), parsed.Ranks(), stop));
        });

    private static void Show(ParseResult parsed, int half, IReadOnlyList<ComparedValues> compared)
    {
        var isExact = compared.All(values => values.Different == 0);
        if (parsed.GetValue(CommonOptions.Json))
        {
            parsed.Terminal().PrintJson(new { Exact = isExact, Steps = 2 * half, ResumedAt = half, Compared = compared });
        }
        else
        {
            var table = new Table().RoundedBorder().AddColumn($"{2 * half} steps, and {half} + {half}").AddColumn(Right("values")).AddColumn(Right("different"));
            foreach (var (what, values, different) in compared)
            {
                table.AddRow(Markup.Escape(what), $"{values:N0}", $"{different:N0}");
            }

            parsed.Terminal().Print(table);
            parsed.Terminal().Output.WriteLine(isExact ? "resuming is exact: every bit is the same" : "resuming is not exact");
        }

        if (compared.FirstOrDefault(values => values.Different > 0) is { } first)
        {
            throw new UserException($"the resumed run differs from the undisturbed one, first in: {first.What} ({first.Different:N0} of {first.Values:N0} values)");
        }
    }

    private static TableColumn Right(string title) => new TableColumn(title).RightAligned();
}
