using System.Globalization;
using CutoffLen.Common;
using CutoffLen.Configuration;
using CutoffLen.Positions.Methods;
using CutoffLen.Training;

namespace CutoffLen.Tests;

public sealed class CultureTests
{
    private static readonly Dictionary<string, Func<string>> Made = new()
    {
        ["a configuration"] = () => RunConfigWriter.ToYaml(new RunConfig { Training = new TrainingConfig { LearningRate = 1.5e-4, WarmupRatio = 0.25 } }),
        ["its errors"] = () => Assert.Throws<UserException>(() => RunConfigReader.Resolve(sets: ["adam_beta1=1,5", "learning_rate=11.5", "lora_dropout=1.25"])).Message,
        ["its numbers"] = () => RunConfigReader.Resolve(sets: ["learning_rate=0.5"]).Config.Training.LearningRate == 0.5 ? "0.5" : "another",
        ["a position spec"] = () => PositionMethods.Parse("yarn:factor=2.50,beta_fast=1.25").ToString(),
        ["numbers of reports"] = () => $"{Numbers.Perplexity(1234.5)} {Numbers.Perplexity(12.345)} {Numbers.Short(1234.5)} {Numbers.Percent(0.5)} {ByteCount.Gigabytes(1_234_567_890)}",
    };

    public static TheoryData<string> Texts => [.. Made.Keys];

    /// <summary>What a function gives under a culture.</summary>
    public static T Under<T>(string culture, Func<T> function)
    {
        var before = CultureInfo.CurrentCulture;
        try
        {
            CultureInfo.CurrentCulture = CultureInfo.GetCultureInfo(culture);
            return function();
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
    }

    [Theory]
    [MemberData(nameof(Texts))]
    public void A_culture_with_decimal_commas_changes_nothing(string made) =>
        Assert.Equal(Under("", Made[made]), Under("de-DE", Made[made]));

    [Fact]
    public void The_culture_of_the_test_has_decimal_commas() => Assert.Equal("1,5", Under("de-DE", () => $"{1.5}"));
}
