using System.Text.RegularExpressions;
using CutoffLen.Positions.Methods;

namespace CutoffLen.Cli.Tests.Scripts;

/// <summary>The README keeps up with the program.</summary>
public sealed partial class ReadmeTests
{
    private static readonly string Text = File.ReadAllText(Path.Combine(Repository.Root, "README.md"));

    [Fact]
    public void Every_verb_has_a_command_in_it()
    {
        var help = Cutoff.Run("--help").Exits(0).Output;
        var verbs = Verb().Matches(help[help.IndexOf("Commands:", StringComparison.Ordinal)..]).Select(match => match.Groups[1].Value).ToList();
        Assert.Contains("eval-ppl", verbs);
        Assert.All(verbs, verb => Assert.Matches($@"(?m)^(scripts/)?cutoff {verb}\b", Text));
    }

    [Fact]
    public void Every_position_method_and_modifier_is_in_its_table() => Assert.All(
        PositionMethods.All.Select(entry => entry.Name).Concat(PositionMethods.Modifiers.Select(entry => $"+{entry.Name}")),
        name => Assert.Contains($"| `{name}`", File.ReadAllText(Path.Combine(Repository.Root, "src/CutoffLen/Positions/README.md")), StringComparison.Ordinal));

    [Fact]
    public void Files_it_names_exist() => Assert.All(
        Named().Matches(Text).Select(match => match.Value),
        path => Assert.True(Path.Exists(Path.Combine(Repository.Root, path)), $"README.md names {path}"));

    [GeneratedRegex(@"(?m)^  ([a-z][a-z-]+)\s")]
    private static partial Regex Verb();

    [GeneratedRegex(@"\b(?:src|tests|configs|scripts)(?:/[A-Za-z0-9._-]*[A-Za-z0-9_-])+")]
    private static partial Regex Named();
}
