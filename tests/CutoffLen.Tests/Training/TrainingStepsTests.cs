using CutoffLen.Common;
using CutoffLen.Training;

namespace CutoffLen.Tests.Training;

public sealed class TrainingStepsTests
{
    [Theory]
    [InlineData(10, 4, false, 3)]
    [InlineData(10, 4, true, 2)]
    [InlineData(8, 4, false, 2)]
    [InlineData(8, 4, true, 2)]
    [InlineData(3, 4, false, 1)]
    public void Steps_take_every_sequence_of_an_epoch_once(int sequences, int perStep, bool dropLast, int stepsPerEpoch)
    {
        var steps = Steps(sequences, perStep, dropLast);
        Assert.Equal(stepsPerEpoch, steps.PerEpoch);
        for (var epoch = 0; epoch < 3; epoch++)
        {
            var taken = Enumerable.Range(epoch * stepsPerEpoch, stepsPerEpoch).Select(step => steps.Of(step)).ToList();
            Assert.All(taken, step => Assert.Equal(epoch, step.Epoch));
            Assert.Equal(
                Enumerable.Range(0, dropLast ? sequences / perStep * perStep : sequences),
                taken.SelectMany(step => Enumerable.Range(step.First, step.Count)));
        }
    }

    [Fact]
    public void Steps_of_a_run_are_the_given_number_or_its_epochs_rounded_up()
    {
        Assert.Equal(7, Steps(10, 4, dropLast: false, maxSteps: 7, epochs: 100).Total);
        Assert.Equal(5, Steps(10, 4, dropLast: false, epochs: 1.5).Total);
        Assert.Contains("dropped", Assert.Throws<UserException>(() => Steps(3, 4, dropLast: true)).Message.Replace("drop_last", "dropped"));
    }

    private static TrainingSteps Steps(int sequences, int perStep, bool dropLast, int? maxSteps = null, double epochs = 1) => new(
        new TrainingConfig { PerDeviceTrainBatchSize = perStep, DataloaderDropLast = dropLast, MaxSteps = maxSteps, NumTrainEpochs = epochs }, sequences, cutoff: 8);
}
